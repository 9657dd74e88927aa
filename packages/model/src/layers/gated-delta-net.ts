/**
 * @file Gated delta net (Yang et al. 2024, as in Qwen3.5): the delta rule on unit keys with one decay per head.
 *   S_t = e^(g_t) S_{t-1} + β_t k_t (v_t − e^(g_t) S_{t-1}ᵀ k_t)ᵀ,  o_t = S_tᵀ q_t / √dk
 *   β = σ(W_b u),  g = −e^A softplus(W_a u + dt),  y = W_o (rms(o) w ⊙ silu(W_z u))
 * One causal convolution with silu over queries, keys and values side by side. No positions.
 */
import {
  decayGate,
  deltaRule,
  gatedNorm,
  linear,
  repeatHeads,
  reshape,
  rmsNorm,
  shortConv,
  sigmoid,
  split,
  Tensor,
} from '@quasar/tensor';
import { linearWidths, type Qwen35Config } from '../families/qwen3-5/config.ts';
import type { LayerContext } from './context.ts';

/** Added to |x|² where queries and keys are brought to length 1. */
const UNIT_EPS = 1e-6;

/** u [B, T, D] -> [B, T, D] */
export function gatedDeltaNet(u: Tensor, c: LayerContext<Qwen35Config>, stream: Tensor | null = null): Tensor {
  const { linear_num_key_heads: Hk, linear_num_value_heads: H, rms_norm_eps: eps } = c.config;
  const { linear_key_head_dim: dk, linear_value_head_dim: dv } = c.config;
  const [B, T] = u.shape as [number, number, number];
  const project = (name: string) => linear(u, c.weight(`linear_attn.${name}.weight`));
  const conv = shortConv(project('in_proj_qkv'), c.weight('linear_attn.conv1d.weight'), c.load('conv'), c.positions);
  c.save('conv', conv.state);
  const [q, k, v] = split(conv.y, linearWidths(c.config));
  const heads = (x: Tensor, length: number) => repeatHeads(unit(reshape(x, [B, T, Hk, dk]), length), H / Hk);
  const decay = decayGate(project('in_proj_a'), c.weight('linear_attn.A_log'), c.weight('linear_attn.dt_bias'));
  const { out, state } = deltaRule(
    heads(q, dk ** -0.5),
    heads(k, 1),
    reshape(v, [B, T, H, dv]),
    sigmoid(project('in_proj_b')),
    { decay, state: c.load('S'), positions: c.positions, chunk: c.chunk },
  );
  c.save('S', state);
  const y = gatedNorm(out, c.weight('linear_attn.norm.weight'), project('in_proj_z'), 'silu', eps);
  return linear(reshape(y, [B, T, H * dv]), c.weight('linear_attn.out_proj.weight'), null, stream);
}

/** length · x / √(|x|² + eps) over the last axis: an RMSNorm with one weight for all channels. */
function unit(x: Tensor, length: number): Tensor {
  const width = x.dim(-1);
  return rmsNorm(x, Tensor.filled(x.device, [width], length / Math.sqrt(width)), UNIT_EPS / width);
}
