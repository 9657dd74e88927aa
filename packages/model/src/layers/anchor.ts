/**
 * @file Anchor of a looped model: h + σ(γ)·P, where P are the normalised embeddings and γ is one gate per layer, shared by
 * the loops (architecture §3.10). Every loop adds to the gradients of both, so they are scaled, by default by 1/loops.
 */
import { add, linear, reshape, scale, scaleGrad, sigmoid, type Tensor } from '@quasar/tensor';

/** Factors on the gradients of gates and of P. */
export interface AnchorGradScale {
  gate: number;
  P: number;
}

/** x times a number of one element; both get gradients. */
export function scaleBy(x: Tensor, factor: Tensor): Tensor {
  // A product with a 1 × 1 matrix.
  return reshape(linear(reshape(x, [x.size, 1]), reshape(factor, [1, 1])), x.shape);
}

/** h, anchor [B, T, D]; gate [1] -> [B, T, D] */
export function injectAnchor(h: Tensor, anchor: Tensor, gate: Tensor, gradScale: AnchorGradScale): Tensor {
  return add(h, scaleBy(scaleGrad(anchor, gradScale.P), sigmoid(scaleGrad(gate, gradScale.gate))));
}

/**
 * e^(−softplus decay)·h + σ(gate)·P at the input of a layer: what loops add up decays (Parcae, as in Quasar-Preview).
 * h, anchor [B, T, D]; decay, gate [1] -> [B, T, D]
 */
export function stabilize(
  h: Tensor,
  anchor: Tensor,
  { decay, gate }: { decay: Tensor; gate: Tensor },
  gradScale: AnchorGradScale,
): Tensor {
  // e^(−softplus x) = σ(−x).
  const kept = sigmoid(scale(scaleGrad(decay, gradScale.gate), -1));
  return injectAnchor(scaleBy(h, kept), anchor, gate, gradScale);
}
