/**
 * @file Engram: a memory of n-grams beside the layers (2601.07372, as in Quasar-Preview). The last tokens are hashed to rows
 * of large tables; the hidden state decides how much of what stands there is taken over.
 *   e = E[rows of the last n tokens];  k = W_K W_e e, v = W_V W_e e, q = W_q h
 *   G = σ(s cos(q, k)) v;  out = W_o (silu(conv(norm G)) + G),  conv: width 4, every third token
 * Source: architecture §3.11. n-grams end at the start of a document, where the public code reads across it. With a fresh
 * W_o of zeros the layer adds nothing.
 */
import {
  add,
  clamp,
  embedding,
  l2Norm,
  linear,
  multiply,
  ngramRows,
  reshape,
  rmsNorm,
  shortConv,
  sigmoid,
  Tensor,
} from '@quasar/tensor';
import type { LayerContext } from './context.ts';

export interface EngramOptions {
  /** Prefix of its weights under the layer, as `engram`. */
  at: string;
  /** Width of keys and values. */
  dim: number;
  /** Rows of all tables together, before each table's are rounded up to a prime. */
  slots: number;
  /** Tables per order. */
  heads: number;
  /** Tokens that an n-gram has, for each group of tables. */
  orders: readonly number[];
  /**
   * s: `public` has 1/√dim, which keeps the gate within [0.489, 0.511]; `rmsnorm` has √dim, as a product of vectors with a
   * mean square of 1 over √dim, which is the paper's.
   */
  gate: 'public' | 'rmsnorm';
  /** How tokens become those that are hashed: merged by a hash of their id, or by their text (`canonicalTokenMap`). */
  tokenMap: 'hash' | 'canonical';
  /** Factor on the learning rate of the tables, whose rows are read seldom. */
  lrScale: number;
}

const NORM_EPS = 1e-6;
export const CONV_SIZE = 4;
const DILATION = 3;
/** Bounds of rows that are read and of everything computed from them; what is not a number counts as 0. */
const [ROW_BOUND, BOUND] = [10, 100];

/** Tables, rows of each and their width. Their rows together must stay below 2^31. */
export function engramSizes({ dim, slots, heads, orders }: EngramOptions): {
  tables: number;
  rows: number;
  width: number;
} {
  const tables = heads * orders.length;
  return { tables, rows: nextPrime(Math.floor(slots / tables)), width: Math.max(16, Math.floor(dim / tables)) };
}

/** Tokens and inputs of the convolution that a sequence carries from block to block. */
export function engramStateFloats({ dim, orders }: EngramOptions): number {
  return Math.max(...orders) - 1 + DILATION * (CONV_SIZE - 1) * dim;
}

/**
 * What the layer adds to h before it is scaled into the residual stream.
 * @param h [B, T, D]
 * @param ids of the same tokens, [B, T], int
 */
export function engram(h: Tensor, ids: Tensor, c: LayerContext<unknown>, options: EngramOptions): Tensor {
  const { at, dim, orders, gate } = options;
  const { tables, rows: slots, width } = engramSizes(options);
  const [B, T] = h.shape as [number, number, number];
  const weight = (name: string) => c.weight(`${at}.${name}`);
  const bounded = (x: Tensor, bound = BOUND) => clamp(x, -bound, bound, { nanToZero: true });
  const hash = {
    map: weight('token_map'),
    seeds: weight('seeds'),
    orders: weight('ngram_orders_buf'),
    slots,
    back: Math.max(...orders) - 1,
  };
  const { rows, state } = ngramRows(ids, hash, c.load('engram_tokens'), c.positions);
  c.save('engram_tokens', state);
  const read = embedding(weight('embed_tables'), rows, { rowGradients: true }); // [B, T, tables, width]
  const found = bounded(reshape(read, [B, T, tables * width]), ROW_BOUND);
  const e = bounded(linear(found, weight('embed_proj.weight')));
  const q = bounded(linear(h, weight('q_proj.weight')));
  const k = bounded(linear(e, weight('W_K.weight')));
  const v = bounded(linear(e, weight('W_V.weight')));
  const taken = bounded(multiply(cosineGate(q, k, gate === 'public' ? dim ** -0.5 : dim ** 0.5), v));
  const normed = bounded(rmsNorm(taken, weight('conv_norm.weight'), NORM_EPS));
  const mixed = shortConv(normed, dilated(weight('conv.weight')), c.load('engram_conv'), c.positions);
  c.save('engram_conv', mixed.state);
  return bounded(linear(bounded(add(mixed.y, taken)), weight('out_proj.weight')));
}

/** σ(factor · cos(q, k)) of each row, in every column: [B, T, dim]. */
function cosineGate(q: Tensor, k: Tensor, factor: number): Tensor {
  const dim = q.dim(-1);
  const ones = (...shape: number[]) => Tensor.filled(q.device, shape, 1);
  const cosine = linear(multiply(l2Norm(q, factor), l2Norm(k)), ones(1, dim)); // [B, T, dim] -> [B, T, 1]
  return linear(sigmoid(cosine), ones(dim, 1));
}

/** Taps [dim, 1, 4] as those of a convolution over all tokens between: [dim, 1, 10] with zeros. */
function dilated(taps: Tensor): Tensor {
  const [dim, , size] = taps.shape as [number, number, number];
  const wide = DILATION * (size - 1) + 1;
  const spread = new Float32Array(wide * size);
  for (let tap = 0; tap < size; tap++) spread[tap * DILATION * size + tap] = 1;
  const all = linear(reshape(taps, [dim, size]), Tensor.from(taps.device, [wide, size], spread));
  return reshape(all, [dim, 1, wide]);
}

/** The smallest prime that is not below n. */
function nextPrime(n: number): number {
  for (let candidate = Math.max(2, n); ; candidate++) {
    let divisor = 2;
    while (divisor * divisor <= candidate && candidate % divisor !== 0) divisor++;
    if (divisor * divisor > candidate) return candidate;
  }
}
