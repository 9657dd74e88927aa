/**
 * @file Softmax attention over the cache of a layer: the keys and values of all tokens that later ones may see. It grows with
 * what is read; tokens that no row of the batch sees any more are dropped. A new tensor each time, since a state is a value,
 * but where its owner made room for more tokens: there this block's are written in place.
 */
import { attention, concat, slice, type Tensor, withRoom, writeRows } from '@quasar/tensor';
import type { LayerContext } from './context.ts';

const CACHES = ['keys', 'values'] as const;

/** Whether a tensor of a `ModelState` is a cache, [B, S, Hk, E]. @param key `loop.layer.name` */
export function isCache(key: string): boolean {
  return CACHES.some((name) => key.endsWith(`.${name}`));
}

/** q [B, T, H, E]; k, v [B, T, Hk, E] of this block -> [B, T, H, E], over the cache with this block at its end. */
export function cachedAttention(q: Tensor, k: Tensor, v: Tensor, c: LayerContext<unknown>): Tensor {
  const { cached } = c;
  if (cached === undefined) return attention(q, extend('keys', k, c), extend('values', v, c), c.positions);
  const T = k.dim(1);
  const [keys, values] = [writeAt(cached, 'keys', k, c), writeAt(cached, 'values', v, c)];
  return attention(q, keys, values, c.positions, { length: cached + T, growth: T });
}

/**
 * The tensors of a state with caches of `cached` tokens: of these the latest `kept`, in caches with room for `room` tokens.
 * @returns the new caches by key; other tensors stay as they are
 */
export function roomyCaches(
  tensors: ReadonlyMap<string, Tensor>,
  { cached, kept, room }: { cached: number; kept: number; room: number },
): Map<string, Tensor> {
  const caches = [...tensors].filter(([key]) => isCache(key));
  return new Map(caches.map(([key, tensor]) => [key, withRoom(tensor, cached - kept, cached, room)]));
}

function extend(name: (typeof CACHES)[number], x: Tensor, c: LayerContext<unknown>): Tensor {
  const before = c.load(name);
  const all = before ? concat([before, x], 1) : x; // [B, S, Hk, E]
  const [S, needed] = [all.dim(1), c.positions?.longest ?? all.dim(1)];
  c.save(name, needed < S ? slice(all, 1, S - needed, S) : all);
  return all;
}

function writeAt(cached: number, name: (typeof CACHES)[number], x: Tensor, c: LayerContext<unknown>): Tensor {
  const cache = c.load(name) as Tensor;
  writeRows(cache, x, cached, x.dim(1));
  c.save(name, cache);
  return cache;
}
