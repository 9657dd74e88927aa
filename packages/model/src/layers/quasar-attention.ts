/**
 * @file Quasar attention: the exact zero-order-hold solution of dS/dt = -k kᵀS + k vᵀ, held for beta per token.
 *   S_t = S_{t-1} + alpha k (v - S_{t-1}ᵀk)ᵀ,  alpha = (1 - e^(-beta|k|²))/|k|²,  o_t = S_tᵀ q_t
 * Source: architecture §3.5.4. Other rules of writing, those of public checkpoints among them: write-gate.ts.
 */
import { clamp, deltaRule, l2Norm, rmsNorm, scale, Tensor } from '@quasar/tensor';
import { type Entries, inPart } from '../tensor-table.ts';
import type { LayerContext } from './context.ts';
import { gatedOutput, type HeadInits, type HeadOptions, headTensors, projectHeads, turn } from './heads.ts';
import { resolveRule, type WriteRule, writeGate, writeGateTensors } from './write-gate.ts';

/** Of the input, in Quasar-Preview. */
const INPUT_NORM_EPS = 1e-6;

export interface QuasarAttentionOptions extends HeadOptions, WriteRule {
  /**
   * As in Quasar-Preview: the input is cut to ±60 and brought to a mean square of 1; outputs to ±1e4, weights of the output
   * norm to [0, 4] and gates to ±30 (architecture §3.1, §3.5.4). What is not a number counts as 0.
   */
  isGuarded: boolean;
}

/** u [B, T, D] -> [B, T, D] */
export function quasarAttention(u: Tensor, c: LayerContext<unknown>, options: QuasarAttentionOptions): Tensor {
  const { at, headDim: E, isGuarded } = options;
  const { qk_l2norm: isUnit, scalesQueries } = resolveRule(options);
  const x = isGuarded ? normalized(u) : u;
  const unit = (y: Tensor, factor: number) => (isUnit ? l2Norm(y, factor) : factor === 1 ? y : scale(y, factor));
  const q = unit(turn(projectHeads(x, 'q', c, options), c, options), scalesQueries ? E ** -0.5 : 1);
  const k = unit(turn(projectHeads(x, 'k', c, options), c, options), 1);
  const v = projectHeads(x, 'v', c, options);
  const { alpha, write, decay } = writeGate(x, k, options, (name) => c.weight(`${at}.${name}`));
  const { out, state } = deltaRule(q, k, v, alpha, {
    state: c.load('S'),
    positions: c.positions,
    chunk: c.chunk,
    write,
    decay,
  });
  c.save('S', state);
  return gatedOutput(out, x, c, options, isGuarded ? guard : undefined);
}

function guard(y: Tensor, low: number, high: number): Tensor {
  return clamp(y, low, high, { nanToZero: true });
}

function normalized(u: Tensor): Tensor {
  const ones = Tensor.filled(u.device, [u.dim(-1)], 1);
  return rmsNorm(clamp(u, -60, 60, { nanToZero: true }), ones, INPUT_NORM_EPS);
}

/** Every weight of the layer by its public name, prefix included. */
export function quasarAttentionTensors(D: number, options: QuasarAttentionOptions, inits: HeadInits): Entries {
  const { heads: H, headDim: E } = options;
  const own = writeGateTensors(options, { D, H, E }, inits.projection(D));
  return inPart('quasar attention', headTensors(D, options, inits, own));
}
