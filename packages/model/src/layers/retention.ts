/**
 * @file Linear attention whose heads forget at a constant rate each (retention, Sun et al. 2023, as in Quasar-Preview's GLA
 * branch): S_t = e^(g_h) S_{t-1} + k_t v_tᵀ,  o_t = S_tᵀ q_t / √E,  y = W_o (groupNorm(o) ⊙ σ(W_g u)). Architecture §3.6.
 */
import { gatedNorm, linear, repeatHeads, reshape, scale, scaleColumns, simpleGla, Tensor } from '@quasar/tensor';
import type { LayerContext } from './context.ts';
import { type GroupedHeads, groupedHeads } from './grouped-attention.ts';

export interface RetentionOptions extends GroupedHeads {
  /** Groups of channels that are normed each by itself. */
  normGroups: number;
}

/** u [B, T, D] -> [B, T, D]. The rates are a buffer of the checkpoint, `slope`: log decays per token, <= 0. */
export function retention(u: Tensor, c: LayerContext<unknown>, options: RetentionOptions): Tensor {
  const { at, heads: H, keyHeads: Hk, headDim: E, eps, normGroups } = options;
  const [B, T] = u.shape as [number, number, number];
  const { q, k, v } = groupedHeads(u, c, options);
  const all = (x: Tensor) => repeatHeads(x, H / Hk); // [B, T, Hk, E] -> [B, T, H, E]
  const { out, state } = simpleGla(scale(q, E ** -0.5), all(k), all(v), c.weight(`${at}.slope`), {
    state: c.load('S'),
    positions: c.positions,
    chunk: c.chunk,
  });
  c.save('S', state);
  // The norm has one weight per channel and the groups have their own: the weights follow.
  const ones = Tensor.filled(u.device, [(H * E) / normGroups], 1);
  const gated = gatedNorm(out, ones, linear(u, c.weight(`${at}.g_proj.weight`)), 'sigmoid', eps);
  const y = scaleColumns(reshape(gated, [B, T, H * E]), c.weight(`${at}.g_norm.weight`));
  return linear(y, c.weight(`${at}.dense.weight`));
}
