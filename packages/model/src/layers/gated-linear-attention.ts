/**
 * @file Gated linear attention (Yang et al. 2023, as in Quasar-3B): a decaying sum of k vᵀ with one gate per key channel.
 *   S_t = diag(e^(g_t)) S_{t-1} + k_t v_tᵀ,  g = logσ(W1 W0 u + b)/16,  o_t = S_tᵀ q_t / sqrt(dk). No positions.
 */
import { gatedNorm, gla, linear, logSigmoid, reshape, scale, type Tensor } from '@quasar/tensor';
import { glaKeyDim, type QuasarConfig } from '../families/quasar/config.ts';
import type { LayerContext } from './context.ts';

const OUTPUT_NORM_EPS = 1e-5;
/** fla's gate_logit_normalizer: a fresh gate forgets 4 % per token. */
const GATE_NORMALIZER = 16;

/** u [B, T, D] -> [B, T, D] */
export function gatedLinearAttention(u: Tensor, c: LayerContext<QuasarConfig>): Tensor {
  const { n_heads: H, head_dim: E } = c.config;
  const [B, T] = u.shape as [number, number, number];
  const dk = glaKeyDim(c.config);
  const q = scale(linear(u, c.weight('attn.q_proj.weight')), dk ** -0.5);
  const k = linear(u, c.weight('attn.k_proj.weight'));
  const v = linear(u, c.weight('attn.v_proj.weight'));
  const low = linear(u, c.weight('attn.gk_proj.0.weight'));
  const raw = linear(low, c.weight('attn.gk_proj.1.weight'), c.weight('attn.gk_proj.1.bias'));
  const decay = scale(logSigmoid(raw), 1 / GATE_NORMALIZER);
  const heads = (x: Tensor, width: number) => reshape(x, [B, T, H, width]);
  const { out, state } = gla(heads(q, dk), heads(k, dk), heads(v, E), heads(decay, dk), {
    state: c.load('S'),
    positions: c.positions,
    chunk: c.chunk,
  });
  c.save('S', state);
  const gate = linear(u, c.weight('attn.g_proj.weight'));
  const y = gatedNorm(out, c.weight('attn.g_norm_swish_gate.weight'), gate, 'silu', OUTPUT_NORM_EPS);
  return linear(reshape(y, [B, T, H * E]), c.weight('attn.o_proj.weight'));
}
