/**
 * @file Softmax attention as in Ling and Quasar-Preview: grouped heads from one fused projection, norms on queries and keys,
 * partial rotation. Architecture §3.3.
 */
import { linear, reshape, rmsNorm, rope, split, type Tensor } from '@quasar/tensor';
import { cachedAttention } from './cache.ts';
import type { LayerContext } from './context.ts';

export interface GroupedHeads {
  /** Prefix of its weights under the layer, as `attention`. */
  at: string;
  heads: number;
  /** Key head ⌊h·keyHeads/heads⌋ serves query head h. */
  keyHeads: number;
  headDim: number;
  eps: number;
}

/** u [B, T, D] -> queries [B, T, H, E], keys and values [B, T, Hk, E]; queries and keys normed and rotated. */
export function groupedHeads(
  u: Tensor,
  c: LayerContext<unknown>,
  { at, heads: H, keyHeads: Hk, headDim: E, eps }: GroupedHeads,
): { q: Tensor; k: Tensor; v: Tensor } {
  const [B, T] = u.shape as [number, number, number];
  const parts = split(linear(u, c.weight(`${at}.query_key_value.weight`)), [H * E, Hk * E, Hk * E]);
  const turned = (x: Tensor, count: number, name: string) => {
    const y = rmsNorm(reshape(x, [B, T, count, E]), c.weight(`${at}.${name}_layernorm.weight`), eps);
    return c.rotation && c.positions ? rope(y, c.positions, c.rotation) : y;
  };
  return { q: turned(parts[0], H, 'query'), k: turned(parts[1], Hk, 'key'), v: reshape(parts[2], [B, T, Hk, E]) };
}

/** u [B, T, D] -> [B, T, D] */
export function groupedAttention(u: Tensor, c: LayerContext<unknown>, shape: GroupedHeads): Tensor {
  const [B, T] = u.shape as [number, number, number];
  const { q, k, v } = groupedHeads(u, c, shape);
  const o = cachedAttention(q, k, v, c);
  return linear(reshape(o, [B, T, shape.heads * shape.headDim]), c.weight(`${shape.at}.dense.weight`));
}
