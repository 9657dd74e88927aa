/** @file RMSNorm whose weight is stored as its distance from 1, so that weight decay pulls it to 1. */
import { rmsNorm, type Tensor } from '@quasar/tensor';

/** (1 + w) ⊙ x / √(mean(x²) + eps) over rows of w's length. */
export function centredNorm(x: Tensor, w: Tensor, eps: number): Tensor {
  return rmsNorm(x, w, eps, 1);
}
