/**
 * @file Softmax attention as in Qwen3.5: grouped heads, zero-centred norms on queries and keys, partial rotation, and a
 * sigmoid gate on the output: y = W_o (attention(q, k, v) ⊙ σ(g)), where W_q gives q and g of each head.
 */
import { attention, linear, multiply, reshape, rope, sigmoid, split, type Tensor } from '@quasar/tensor';
import type { Qwen35Config } from '../families/qwen3-5/config.ts';
import { extendCache } from './cache.ts';
import { centredNorm } from './centred-norm.ts';
import type { LayerContext } from './context.ts';

/** u [B, T, D] -> [B, T, D] */
export function gatedAttention(u: Tensor, c: LayerContext<Qwen35Config>): Tensor {
  const { num_attention_heads: H, num_key_value_heads: Hk, head_dim: E, rms_norm_eps: eps } = c.config;
  const [B, T] = u.shape as [number, number, number];
  const project = (x: Tensor, name: string) =>
    linear(
      x,
      c.weight(`self_attn.${name}.weight`),
      c.config.attention_bias ? c.weight(`self_attn.${name}.bias`) : null,
    );
  const turned = (x: Tensor, name: string) => {
    const y = centredNorm(x, c.weight(`self_attn.${name}.weight`), eps);
    return c.rotation && c.positions ? rope(y, c.positions, c.rotation) : y;
  };
  const [q, gate] = split(reshape(project(u, 'q_proj'), [B, T, H, 2 * E]), [E, E]); // [B, T, H, E] each
  const k = turned(reshape(project(u, 'k_proj'), [B, T, Hk, E]), 'k_norm');
  const v = reshape(project(u, 'v_proj'), [B, T, Hk, E]);
  const { keys, values } = extendCache(k, v, c);
  const o = attention(turned(q, 'q_norm'), keys, values, c.positions);
  return project(reshape(multiply(o, sigmoid(gate)), [B, T, H * E]), 'o_proj');
}
