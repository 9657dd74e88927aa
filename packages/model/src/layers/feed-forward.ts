/** @file Dense SwiGLU (Shazeer 2020): W_down(silu(W_gate x) ⊙ W_up x). */
import { linear, linearSwiglu, type Tensor } from '@quasar/tensor';
import type { LayerContext } from './context.ts';

/** @param at name prefix of the three matrices under the layer. */
export function feedForward(x: Tensor, c: LayerContext<unknown>, at: string): Tensor {
  const inner = linearSwiglu(x, c.weight(`${at}.gate.weight`), c.weight(`${at}.up.weight`));
  return linear(inner, c.weight(`${at}.down.weight`));
}
