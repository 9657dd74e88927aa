/** @file LayerNorm, from products with ones and RMSNorm: few layers use it, so it has no kernel of its own. */
import { ShapeError, Tensor } from '../tensor.ts';
import { addBias, axpby } from './elementwise.ts';
import { linear } from './linear.ts';
import { rmsNorm } from './norm.ts';

/** w ⊙ (x − mean x) / √(var x + eps) + bias over the last axis (Ba et al. 2016): x [..., N], w and bias [N]. @throws ShapeError */
export function layerNorm(x: Tensor, w: Tensor, bias: Tensor, eps: number): Tensor {
  const width = x.dim(-1);
  if (w.size !== width || bias.size !== width)
    throw new ShapeError(`layerNorm: weight [${w.shape}] and bias [${bias.shape}] for x [${x.shape}]`);
  const mean = linear(x, Tensor.filled(x.device, [1, width], 1 / width)); // [..., N] -> [..., 1]
  const everywhere = linear(mean, Tensor.filled(x.device, [width, 1], 1)); // [..., 1] -> [..., N]
  return addBias(rmsNorm(axpby(1, x, -1, everywhere), w, eps), bias);
}
