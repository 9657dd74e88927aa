/**
 * @file Other mechanisms in the place of Quasar attention, for comparisons at equal size: the same projections, convolutions,
 * rotation and gated output, and for all but softmax a state of the same size. Architecture §3.5.11, per head:
 *   delta_net        S ← S + β k (v − Sᵀk)ᵀ, β = σ(W_b u), unit keys (Yang et al. 2024)
 *   gated_delta_net  the same after S ← e^g S, g = −e^A softplus(W_a u + dt) per head (Yang et al. 2024b)
 *   kda              the same after S ← diag(e^g) S, g = −e^A softplus(W_f1 W_f0 u + dt) per key channel (Kimi Linear 2025)
 *   gla              S ← diag(e^g) S + k vᵀ, g = logσ(W_1 W_0 u + b)/16 (Yang et al. 2023)
 *   softmax          o = Σ softmax(q·k/√E) v over all tokens; its cache grows
 * o = Sᵀq/√E. Public gated layers have projections of full rank for nothing but their gates; here those are low-rank.
 */
import {
  decayGate,
  deltaRule,
  gla,
  l2Norm,
  linear,
  logSigmoid,
  reshape,
  scale,
  sigmoid,
  type Tensor,
} from '@quasar/tensor';
import { bias, type Entries, entry } from '../tensor-table.ts';
import { cachedAttention } from './cache.ts';
import type { LayerContext } from './context.ts';
import { gatedOutput, type HeadInits, type HeadOptions, headTensors, projectHeads, turn } from './heads.ts';

export const SIBLINGS = ['delta_net', 'gated_delta_net', 'kda', 'gla', 'softmax'] as const;
export type Sibling = (typeof SIBLINGS)[number];

/** Rank of the gate of GLA, and what its logit is divided by (fla). */
const GLA_GATE = { rank: 16, normalizer: 16 };

/** u [B, T, D] -> [B, T, D] */
export function siblingAttention(u: Tensor, c: LayerContext<unknown>, sibling: Sibling, options: HeadOptions): Tensor {
  const [q, k] = [
    turn(projectHeads(u, 'q', c, options), c, options),
    turn(projectHeads(u, 'k', c, options), c, options),
  ];
  const v = projectHeads(u, 'v', c, options);
  return gatedOutput(core(u, q, k, v, c, sibling, options), u, c, options);
}

/** q, k, v [B, T, H, E] -> [B, T, H, E] */
function core(
  u: Tensor,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  c: LayerContext<unknown>,
  sibling: Sibling,
  { at, headDim: E }: HeadOptions,
): Tensor {
  const weight = (name: string) => c.weight(`${at}.${name}`);
  if (sibling === 'softmax') return cachedAttention(q, k, v, c);
  const options = { state: c.load('S'), positions: c.positions, chunk: c.chunk };
  const lowRank = (name: string, offset: Tensor | null = null) =>
    reshape(linear(linear(u, weight(`${name}.0.weight`)), weight(`${name}.1.weight`), offset), k.shape);
  const run = () => {
    if (sibling === 'gla') {
      const decay = scale(logSigmoid(lowRank('gk_proj', weight('gk_proj.1.bias'))), 1 / GLA_GATE.normalizer);
      return gla(scale(q, E ** -0.5), k, v, decay, options);
    }
    const beta = sigmoid(linear(u, weight('b_proj.weight')));
    const decay = sibling === 'delta_net' ? null : decayGate(gateLogits(), weight('A_log'), weight('dt_bias'));
    return deltaRule(l2Norm(q, E ** -0.5), l2Norm(k), v, beta, { ...options, decay });
  };
  const gateLogits = () => (sibling === 'kda' ? lowRank('f_proj') : linear(u, weight('a_proj.weight')));
  const { out, state } = run();
  c.save('S', state);
  return out;
}

/** Every weight of the layer by its name, prefix included. */
export function siblingTensors(D: number, sibling: Sibling, options: HeadOptions, inits: HeadInits): Entries {
  return headTensors(D, options, inits, ownTensors(D, sibling, options, inits));
}

function ownTensors(D: number, sibling: Sibling, { heads: H, headDim: E }: HeadOptions, inits: HeadInits): Entries {
  const matrix = (name: string, out: number, inner: number) =>
    entry(`${name}.weight`, [out, inner], 'matrix', inits.projection(inner));
  const lowRank = (name: string, rank: number) => [matrix(`${name}.0`, rank, D), matrix(`${name}.1`, H * E, rank)];
  const rates = entry('A_log', [H], 'scalar', { kind: 'logUniform', low: 1, high: 16 });
  const times = (channels: number) =>
    entry('dt_bias', [channels], 'scalar', { kind: 'inverseSoftplus', low: 1e-3, high: 0.1 });
  switch (sibling) {
    case 'delta_net':
      return [matrix('b_proj', H, D)];
    case 'gated_delta_net':
      return [matrix('b_proj', H, D), matrix('a_proj', H, D), rates, times(H)];
    case 'kda':
      return [matrix('b_proj', H, D), ...lowRank('f_proj', E), rates, times(H * E)];
    case 'gla':
      return [...lowRank('gk_proj', GLA_GATE.rank), bias('gk_proj.1.bias', H * E)];
    case 'softmax':
      return [];
  }
}
