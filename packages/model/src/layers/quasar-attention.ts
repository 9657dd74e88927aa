/**
 * @file Quasar attention: the exact zero-order-hold solution of dS/dt = -k kᵀS + k vᵀ, held for beta per token.
 *   S_t = S_{t-1} + alpha k (v - S_{t-1}ᵀk)ᵀ,  alpha = (1 - e^(-beta|k|²))/|k|²,  o_t = S_tᵀ q_t
 * Source: architecture §3.5.4 (variant `exact`, beta by softplus, L2-normalised keys). `f_proj`, `A_log` and `dt_bias`
 * belong to other public variants: they are in the checkpoint and unused here.
 */
import {
  deltaRule,
  exactGate,
  gatedNorm,
  l2Norm,
  linear,
  reshape,
  rope,
  shortConv,
  silu,
  type Tensor,
} from '@quasar/tensor';
import type { QuasarConfig } from '../families/quasar/config.ts';
import type { LayerContext } from './context.ts';

/** fla's default for gated output norms. */
const OUTPUT_NORM_EPS = 1e-5;

/** u [B, T, D] -> [B, T, D] */
export function quasarAttention(u: Tensor, c: LayerContext<QuasarConfig>): Tensor {
  const { n_heads: H, head_dim: E, use_short_conv: hasConv } = c.config;
  const [B, T] = u.shape as [number, number, number];
  const project = (name: 'q' | 'k' | 'v') => {
    const x = linear(u, c.weight(`attn.${name}_proj.weight`));
    if (!hasConv) return reshape(silu(x), [B, T, H, E]);
    const { y, state } = shortConv(x, c.weight(`attn.${name}_conv1d.weight`), c.load(`conv_${name}`), c.positions);
    c.save(`conv_${name}`, state);
    return reshape(y, [B, T, H, E]); // [B, T, D] -> [B, T, H, E]
  };
  const turn = (x: Tensor) => (c.rotation && c.positions ? rope(x, c.positions, c.rotation) : x);
  const q = l2Norm(turn(project('q')), E ** -0.5);
  const k = l2Norm(turn(project('k')));
  const v = project('v');
  const alpha = exactGate(linear(u, c.weight('attn.b_proj.weight')), k);
  const { out, state } = deltaRule(q, k, v, alpha, {
    state: c.load('S'),
    positions: c.positions,
    chunk: c.chunk,
  });
  c.save('S', state);
  const low = linear(u, c.weight('attn.g_proj.0.weight'));
  const gate = linear(low, c.weight('attn.g_proj.1.weight'), c.weight('attn.g_proj.1.bias'));
  const y = gatedNorm(out, c.weight('attn.o_norm.weight'), gate, 'sigmoid', OUTPUT_NORM_EPS);
  return linear(reshape(y, [B, T, H * E]), c.weight('attn.o_proj.weight'));
}
