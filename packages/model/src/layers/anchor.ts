/**
 * @file Anchor of a looped model: h + σ(γ)·P at the input of every layer, where P are the normalised embeddings and γ is
 * one gate per layer, shared by the loops (architecture §3.10). Gradients are not scaled by the number of loops.
 */
import { add, linear, reshape, sigmoid, type Tensor } from '@quasar/tensor';

/** h, anchor [B, T, D]; gate [1] -> [B, T, D] */
export function injectAnchor(h: Tensor, anchor: Tensor, gate: Tensor): Tensor {
  // A product with a 1 × 1 matrix: scaling by a number that gets a gradient.
  const column = reshape(anchor, [anchor.size, 1]);
  const injected = linear(column, reshape(sigmoid(gate), [1, 1]));
  return add(h, reshape(injected, h.shape));
}
