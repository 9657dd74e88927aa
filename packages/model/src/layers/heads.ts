/**
 * @file What the attention layers of the quasar block share, whatever they do with queries, keys and values: projections
 * with a short convolution and silu, and an output that is normalised per head and gated.
 */
import { gatedNorm, linear, reshape, rope, shortConv, silu, type Tensor } from '@quasar/tensor';
import { bias, type Entries, entry, type Init, norm } from '../tensor-table.ts';
import type { LayerContext } from './context.ts';

export interface HeadOptions {
  /** Prefix of its weights under the layer, as `attn`. */
  at: string;
  heads: number;
  headDim: number;
  /** Width of the short convolution of q, k and v; 0: none. */
  convSize: number;
  /** Rotate q and k where the block has a rotation. */
  rotates: boolean;
  /** Of the output norm. */
  normEps: number;
}

/** x [B, T, D] -> [B, T, H, E]; q and k are not yet rotated. */
export function projectHeads(x: Tensor, name: 'q' | 'k' | 'v', c: LayerContext<unknown>, options: HeadOptions): Tensor {
  const { at, heads: H, headDim: E, convSize } = options;
  const [B, T] = x.shape as [number, number, number];
  const projected = linear(x, c.weight(`${at}.${name}_proj.weight`));
  if (convSize === 0) return reshape(silu(projected), [B, T, H, E]);
  const taps = c.weight(`${at}.${name}_conv1d.weight`);
  const { y, state } = shortConv(projected, taps, c.load(`conv_${name}`), c.positions);
  c.save(`conv_${name}`, state);
  return reshape(y, [B, T, H, E]); // [B, T, D] -> [B, T, H, E]
}

/** Where the layer rotates and the block has a rotation. */
export function turn(y: Tensor, c: LayerContext<unknown>, { rotates }: HeadOptions): Tensor {
  return rotates && c.rotation && c.positions ? rope(y, c.positions, c.rotation) : y;
}

/**
 * W_o (rms(out) w ⊙ σ(W_g1 W_g0 x + b)): out [B, T, H, E], x the input of the projections -> [B, T, D].
 * @param guard cuts outputs, norm weights and gates to a range
 */
export function gatedOutput(
  out: Tensor,
  x: Tensor,
  c: LayerContext<unknown>,
  { at, heads: H, headDim: E, normEps }: HeadOptions,
  guard: (y: Tensor, low: number, high: number) => Tensor = (y) => y,
): Tensor {
  const [B, T] = x.shape as [number, number, number];
  const weight = (name: string) => c.weight(`${at}.${name}`);
  const gate = linear(linear(x, weight('g_proj.0.weight')), weight('g_proj.1.weight'), weight('g_proj.1.bias'));
  const [o, w, g] = [guard(out, -1e4, 1e4), guard(weight('o_norm.weight'), 0, 4), guard(gate, -30, 30)];
  return linear(reshape(gatedNorm(o, w, g, 'sigmoid', normEps), [B, T, H * E]), weight('o_proj.weight'));
}

/** How projections are drawn: those from so many numbers, and the one into the residual stream. */
export interface HeadInits {
  projection: (inputs: number) => Init;
  output: Init;
}

/** Names of the shared weights under the prefix, with `own` weights of a mechanism where public checkpoints have theirs. */
export function headTensors(D: number, options: HeadOptions, inits: HeadInits, own: Entries): Entries {
  const { at, heads: H, headDim: E, convSize: W } = options;
  const inner = H * E;
  const init = inits.projection(D);
  const matrix = (name: string, shape: number[], how = init) => entry(`${name}.weight`, shape, 'matrix', how);
  const taps = { kind: 'uniform', bound: 1 / Math.sqrt(W) } as const;
  const entries: Entries = [
    ...['q', 'k', 'v'].map((name) => matrix(`${name}_proj`, [inner, D])),
    matrix('o_proj', [D, inner], inits.output),
    ...(W > 0 ? ['q', 'k', 'v'].map((name) => matrix(`${name}_conv1d`, [inner, 1, W], taps)) : []),
    ...own,
    matrix('g_proj.0', [E, D]),
    matrix('g_proj.1', [inner, E], inits.projection(E)),
    bias('g_proj.1.bias', inner),
    norm('o_norm.weight', E),
  ];
  return entries.map(([name, spec]) => [`${at}.${name}`, spec]);
}
