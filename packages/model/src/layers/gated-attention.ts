/**
 * @file Softmax attention as in Qwen3.5: grouped heads, zero-centred norms on queries and keys, partial rotation, and a
 * sigmoid gate on the output: y = W_o (attention(q, k, v) ⊙ σ(g)), where W_q gives q and g of each head.
 */
import { gatedHeadNorm, headNorm, linear, reshape, sigmoidGate, type Tensor } from '@quasar/tensor';
import type { Qwen35Config } from '../families/qwen3-5/config.ts';
import { cachedAttention } from './cache.ts';
import type { LayerContext } from './context.ts';

/** u [B, T, D] -> [B, T, D]. @param stream what the result is added to; null: nothing */
export function gatedAttention(u: Tensor, c: LayerContext<Qwen35Config>, stream: Tensor | null = null): Tensor {
  const { num_attention_heads: H, num_key_value_heads: Hk, head_dim: E, rms_norm_eps: eps } = c.config;
  const [B, T] = u.shape as [number, number, number];
  const project = (x: Tensor, name: string, plus: Tensor | null = null) =>
    linear(
      x,
      c.weight(`self_attn.${name}.weight`),
      c.config.attention_bias ? c.weight(`self_attn.${name}.bias`) : null,
      plus,
    );
  const turned = { eps, offset: 1, rotation: c.rotation, positions: c.positions };
  const queries = reshape(project(u, 'q_proj'), [B, T, H, 2 * E]);
  const { y: q, gate } = gatedHeadNorm(queries, c.weight('self_attn.q_norm.weight'), turned); // [B, T, H, E] each
  const keys = reshape(project(u, 'k_proj'), [B, T, Hk, E]);
  const k = headNorm(keys, c.weight('self_attn.k_norm.weight'), turned);
  const v = reshape(project(u, 'v_proj'), [B, T, Hk, E]);
  const o = cachedAttention(q, k, v, c);
  return project(reshape(sigmoidGate(o, gate), [B, T, H * E]), 'o_proj', stream);
}
