/**
 * @file How strongly a token of a Quasar layer writes and how fast its state forgets: the exact zero-order hold of this
 * project, and the forms of public code that checkpoints were trained with. Architecture §3.5.2, §3.5.4 and §3.5.8.
 *
 *   exact              α = φ(β, λ), λ = |k|², φ(β, λ) = (1 − e^(−βλ)) / λ
 *   preview_chunk      α = mean_c (1 − exp(−e^A softplus(β + dt_c))) / (λ + 1e-6) within [1e-4, 0.95], λ within [0.1, 10]
 *   preview_recurrent  α = (1 − e^(−βλ)) / (λ + 1e-8), λ >= 0.05; log decay per channel −e^A softplus(W_f u + dt)
 *   fork_v1            α = (1 − e^(−βλ)) / (λ + 1e-8), β = softplus(beta_log) per head; keys as they are, no scale
 *
 * Both Preview forms have β = σ(W_b u) per token and unit keys. Gradients are those of what is computed; the public kernels
 * have others (a mixture of two forms) or none.
 */
import {
  addBias,
  decayGate,
  exactGate,
  linear,
  multiply,
  previewGate,
  reshape,
  scale,
  sigmoid,
  softplus,
  Tensor,
} from '@quasar/tensor';
import { constant, type Entries, entry, type Init } from '../tensor-table.ts';

/** The last three count in the variant `exact` alone: each public form has its own. */
export interface WriteRule {
  quasar_variant: 'exact' | 'preview_chunk' | 'preview_recurrent' | 'fork_v1';
  /** β of a token from a projection, or of a head: `softplus` covers every write strength, `sigmoid` those below 0.63. */
  quasar_beta: 'softplus' | 'sigmoid' | 'static';
  /** Queries and keys of unit length. */
  qk_l2norm: boolean;
  /**
   * `scalar`: the state decays at a rate γ >= 0 per head while a token is held, still solved exactly. `channel`: each key
   * channel decays before the token is written, as in KDA.
   */
  quasar_decay: 'none' | 'scalar' | 'channel';
}

/** The rule with what its variant fixes put in. */
export function resolveRule(rule: WriteRule): WriteRule & { scalesQueries: boolean } {
  const { quasar_variant } = rule;
  switch (quasar_variant) {
    case 'exact':
      return { ...rule, scalesQueries: true };
    case 'fork_v1':
      return { quasar_variant, quasar_beta: 'static', qk_l2norm: false, quasar_decay: 'none', scalesQueries: false };
    default: {
      const quasar_decay = quasar_variant === 'preview_chunk' ? 'none' : 'channel';
      return { quasar_variant, quasar_beta: 'sigmoid', qk_l2norm: true, quasar_decay, scalesQueries: true };
    }
  }
}

/** Of the delta rule S ← F S + k (write v − alpha (F S)ᵀk)ᵀ with F = e^decay; write is alpha where it is null. */
export interface Strengths {
  /** [B, T, H] */
  alpha: Tensor;
  write: Tensor | null;
  /** [B, T, H] or [B, T, H, E] */
  decay: Tensor | null;
}

/**
 * @param u input of the layer's projections, [B, T, D]
 * @param k keys, [B, T, H, E]
 * @param weight by name: of `writeGateTensors`
 */
export function writeGate(u: Tensor, k: Tensor, rule: WriteRule, weight: (name: string) => Tensor): Strengths {
  const { quasar_variant: variant, quasar_beta: beta, quasar_decay: decay } = resolveRule(rule);
  const [B, T, H] = k.shape as [number, number, number];
  const tokens = [B, T, H];
  const isStatic = beta === 'static';
  const z = isStatic ? perToken(weight('beta_log'), tokens) : reshape(linear(u, weight('b_proj.weight')), tokens);
  if (variant === 'preview_chunk')
    return { alpha: previewGate(z, k, weight('A_log'), weight('dt_bias')), write: null, decay: null };
  const hold = isStatic ? 'softplus' : beta;
  const alpha = exactGate(z, k, { beta: hold, ...PUBLIC[variant] });
  if (decay === 'none') return { alpha, write: null, decay: null };
  const f = linear(u, weight('f_proj.weight')); // [B, T, D] -> [B, T, H·E] or [B, T, H]
  const gate = (shape: readonly number[]) => decayGate(reshape(f, shape), weight('A_log'), weight('dt_bias'));
  if (decay === 'channel') return { alpha, write: null, decay: gate(k.shape) };
  const lost = reshape(gate([...tokens, 1]), tokens); // −γ
  const write = exactGate(z, k, { beta: hold, rate: scale(lost, -1) });
  return { alpha, write, decay: multiply(hold === 'sigmoid' ? sigmoid(z) : softplus(z), lost) };
}

/** Where public forms differ from φ. */
const PUBLIC = {
  exact: {},
  preview_recurrent: { eps: 1e-8, floor: 0.05 },
  fork_v1: { eps: 1e-8 },
} as const;

/** One number per head, [H] -> [B, T, H]. */
function perToken(x: Tensor, shape: readonly number[]): Tensor {
  return addBias(Tensor.zeros(x.device, shape), x);
}

/**
 * Weights by their names after the prefix of the layer. `f_proj`, `A_log` and `dt_bias` are part of every public checkpoint
 * of a layer with `b_proj`, used or not; scalar decay has one row of `f_proj` and one `dt_bias` per head. Where decay is
 * ours, a fresh model forgets little per token, as in Mamba 2 and KDA.
 */
export function writeGateTensors(
  rule: WriteRule,
  { D, H, E }: { D: number; H: number; E: number },
  projection: Init,
): Entries {
  const { quasar_variant: variant, quasar_beta: beta, quasar_decay: decay } = resolveRule(rule);
  const rates = { kind: 'logUniform', low: 1, high: 16 } as const;
  const isOurs = variant === 'exact' && decay !== 'none';
  const times = isOurs ? ({ kind: 'inverseSoftplus', low: 1e-3, high: 0.1 } as const) : constant(0);
  const channels = decay === 'scalar' ? H : H * E;
  return [
    beta === 'static' ? entry('beta_log', [H], 'scalar', rates) : entry('b_proj.weight', [H, D], 'matrix', projection),
    ...(variant === 'fork_v1'
      ? []
      : [
          entry('f_proj.weight', [channels, D], 'matrix', projection),
          entry('A_log', [H], 'scalar', rates),
          entry('dt_bias', [channels], 'scalar', times),
        ]),
  ];
}
