/**
 * @file Anchor of a looped model: h + σ(γ)·P, where P are the normalised embeddings and γ is one gate per layer, shared by
 * the loops (architecture §3.10). Every loop adds to the gradients of both, so they are scaled, by default by 1/loops.
 */
import { add, linear, reshape, scaleGrad, sigmoid, type Tensor } from '@quasar/tensor';

/** h, anchor [B, T, D]; gate [1] -> [B, T, D] */
export function injectAnchor(h: Tensor, anchor: Tensor, gate: Tensor, gradScale: { gate: number; P: number }): Tensor {
  // A product with a 1 × 1 matrix: scaling by a number that gets a gradient.
  const column = reshape(scaleGrad(anchor, gradScale.P), [anchor.size, 1]);
  const injected = linear(column, reshape(sigmoid(scaleGrad(gate, gradScale.gate)), [1, 1]));
  return add(h, reshape(injected, h.shape));
}
