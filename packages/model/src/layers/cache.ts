/**
 * @file The cache of a softmax layer: the keys and values of all tokens that later ones may see. It grows with what is read;
 * tokens that no row of the batch sees any more are dropped. A new tensor each time: a state stays a value.
 */
import { concat, slice, type Tensor } from '@quasar/tensor';
import type { LayerContext } from './context.ts';

/** k, v [B, T, Hk, E] of this block -> those of the S >= T tokens up to its end, [B, S, Hk, E]. */
export function extendCache(k: Tensor, v: Tensor, c: LayerContext<unknown>): { keys: Tensor; values: Tensor } {
  const extend = (name: string, x: Tensor) => {
    const before = c.load(name);
    const all = before ? concat([before, x], 1) : x; // [B, S, Hk, E]
    const [S, needed] = [all.dim(1), c.positions?.longest ?? all.dim(1)];
    c.save(name, needed < S ? slice(all, 1, S - needed, S) : all);
    return all;
  };
  return { keys: extend('keys', k), values: extend('values', v) };
}
