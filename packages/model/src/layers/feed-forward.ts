/** @file Dense SwiGLU (Shazeer 2020): W_down(silu(W_gate x) ⊙ W_up x). */
import { swigluFeedForward, type Tensor } from '@quasar/tensor';
import type { LayerContext } from './context.ts';

/**
 * @param at name prefix of the three matrices under the layer. `suffix`: of each name
 * @param stream what the result is added to; null: nothing
 */
export function feedForward(
  x: Tensor,
  c: LayerContext<unknown>,
  at: string,
  suffix = '',
  stream: Tensor | null = null,
): Tensor {
  const of = (name: string) => c.weight(`${at}.${name}${suffix}.weight`);
  return swigluFeedForward(x, of('gate'), of('up'), of('down'), stream);
}
