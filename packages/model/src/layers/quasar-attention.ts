/**
 * @file Quasar attention: the exact zero-order-hold solution of dS/dt = -k kᵀS + k vᵀ, held for beta per token.
 *   S_t = S_{t-1} + alpha k (v - S_{t-1}ᵀk)ᵀ,  alpha = (1 - e^(-beta|k|²))/|k|²,  o_t = S_tᵀ q_t
 * Source: architecture §3.5.4. Other rules of writing, those of public checkpoints among them: write-gate.ts.
 */
import {
  clamp,
  deltaRule,
  gatedNorm,
  l2Norm,
  linear,
  reshape,
  rmsNorm,
  rope,
  scale,
  shortConv,
  silu,
  Tensor,
} from '@quasar/tensor';
import { bias, type Entries, entry, type Init, inPart, norm } from '../tensor-table.ts';
import type { LayerContext } from './context.ts';
import { resolveRule, type WriteRule, writeGate, writeGateTensors } from './write-gate.ts';

/** Of the input, in Quasar-Preview. */
const INPUT_NORM_EPS = 1e-6;

export interface QuasarAttentionOptions extends WriteRule {
  /** Prefix of its weights under the layer, as `attn`. */
  at: string;
  heads: number;
  headDim: number;
  /** Width of the short convolution of q, k and v; 0: none. */
  convSize: number;
  /** Rotate q and k where the block has a rotation. */
  rotates: boolean;
  /**
   * As in Quasar-Preview: the input is cut to ±60 and brought to a mean square of 1; outputs to ±1e4, weights of the output
   * norm to [0, 4] and gates to ±30 (architecture §3.1, §3.5.4). What is not a number counts as 0.
   */
  isGuarded: boolean;
  /** Of the output norm. */
  normEps: number;
}

/** u [B, T, D] -> [B, T, D] */
export function quasarAttention(u: Tensor, c: LayerContext<unknown>, options: QuasarAttentionOptions): Tensor {
  const { at, heads: H, headDim: E, convSize, rotates, isGuarded, normEps } = options;
  const { qk_l2norm: isUnit, scalesQueries } = resolveRule(options);
  const [B, T] = u.shape as [number, number, number];
  const weight = (name: string) => c.weight(`${at}.${name}`);
  const x = isGuarded ? normalized(u) : u;
  const project = (name: 'q' | 'k' | 'v') => {
    const projected = linear(x, weight(`${name}_proj.weight`));
    if (convSize === 0) return reshape(silu(projected), [B, T, H, E]);
    const { y, state } = shortConv(projected, weight(`${name}_conv1d.weight`), c.load(`conv_${name}`), c.positions);
    c.save(`conv_${name}`, state);
    return reshape(y, [B, T, H, E]); // [B, T, D] -> [B, T, H, E]
  };
  const turn = (y: Tensor) => (rotates && c.rotation && c.positions ? rope(y, c.positions, c.rotation) : y);
  const unit = (y: Tensor, factor: number) => (isUnit ? l2Norm(y, factor) : factor === 1 ? y : scale(y, factor));
  const q = unit(turn(project('q')), scalesQueries ? E ** -0.5 : 1);
  const k = unit(turn(project('k')), 1);
  const v = project('v');
  const { alpha, write, decay } = writeGate(x, k, options, weight);
  const { out, state } = deltaRule(q, k, v, alpha, {
    state: c.load('S'),
    positions: c.positions,
    chunk: c.chunk,
    write,
    decay,
  });
  c.save('S', state);
  const gate = linear(linear(x, weight('g_proj.0.weight')), weight('g_proj.1.weight'), weight('g_proj.1.bias'));
  const guard = (y: Tensor, low: number, high: number) => (isGuarded ? clamp(y, low, high, { nanToZero: true }) : y);
  const [o, w, g] = [guard(out, -1e4, 1e4), guard(weight('o_norm.weight'), 0, 4), guard(gate, -30, 30)];
  const y = gatedNorm(o, w, g, 'sigmoid', normEps);
  return linear(reshape(y, [B, T, H * E]), weight('o_proj.weight'));
}

function normalized(u: Tensor): Tensor {
  const ones = Tensor.filled(u.device, [u.dim(-1)], 1);
  return rmsNorm(clamp(u, -60, 60, { nanToZero: true }), ones, INPUT_NORM_EPS);
}

/**
 * Every weight of the layer by its public name, prefix included.
 * @param projection how a projection from `inputs` numbers is drawn
 */
export function quasarAttentionTensors(
  D: number,
  options: QuasarAttentionOptions,
  { projection, output }: { projection: (inputs: number) => Init; output: Init },
): Entries {
  const { at, heads: H, headDim: E, convSize: W } = options;
  const inner = H * E;
  const init = projection(D);
  const matrix = (name: string, shape: number[], how = init) => entry(`${name}.weight`, shape, 'matrix', how);
  const taps = { kind: 'uniform', bound: 1 / Math.sqrt(W) } as const;
  const entries: Entries = [
    ...['q', 'k', 'v'].map((name) => matrix(`${name}_proj`, [inner, D])),
    matrix('o_proj', [D, inner], output),
    ...(W > 0 ? ['q', 'k', 'v'].map((name) => matrix(`${name}_conv1d`, [inner, 1, W], taps)) : []),
    ...writeGateTensors(options, { D, H, E }, init),
    matrix('g_proj.0', [E, D]),
    matrix('g_proj.1', [inner, E], projection(E)),
    bias('g_proj.1.bias', inner),
    norm('o_norm.weight', E),
  ];
  return inPart(
    'quasar attention',
    entries.map(([name, spec]) => [`${at}.${name}`, spec]),
  );
}
