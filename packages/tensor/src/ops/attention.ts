/** @file Softmax attention: causal, grouped query heads, within segments, over a cache of keys and values. */
import { record, recording } from '../autograd.ts';
import { ShapeError, Tensor } from '../tensor.ts';
import type { Positions } from './sequence.ts';

export interface AttentionOptions {
  /** Factor on q·k. Default 1/√D. */
  scale?: number;
  /** Rows of k and v that count, where they hold room for more (a cache that grows). Default: all. */
  length?: number;
  /** By how much `length` grows with every run of a command list that records this. Default 0. */
  growth?: number;
}

/**
 * o_t = Σ_j softmax_j(scale · q_t·k_j) v_j. q [B, T, H, D]; k, v [B, S, Hk, D] with S >= T: the queries are the last T of
 * the S tokens, and query head h reads key head ⌊h·Hk/H⌋. A token sees itself and, with `positions` (of the T queries),
 * as many tokens before it as its position says, else all. Result [B, T, H, D]. D must be a multiple of 16.
 * Source: architecture §3.3; running softmax of Dao et al. 2022.
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  positions: Positions | null,
  options: AttentionOptions = {},
): Tensor {
  const [B, T, H, D] = q.shape as [number, number, number, number];
  const [batch, room, Hk, width] = k.shape as [number, number, number, number];
  const { scale = D ** -0.5, length: S = room, growth = 0 } = options;
  if (batch !== B || width !== D || H % Hk !== 0 || v.size !== k.size || S < T || S > room)
    throw new ShapeError(`attention: q [${q.shape}] · k [${k.shape}] · v [${v.shape}], ${S} keys, do not fit`);
  if (D % 16 !== 0) throw new ShapeError(`attention: head width must be a multiple of 16, got ${D}`);
  if (positions && (positions.B !== B || positions.T !== T))
    throw new ShapeError(`attention: positions [${[positions.B, positions.T]}] for q [${q.shape}]`);
  const { device } = q;
  const numbers = [B, T, S, room, H, Hk, D, scale];
  const save = recording([q, k, v]);
  const out = Tensor.empty(device, q.shape);
  const lse = save ? Tensor.empty(device, [B, T, H]) : null;
  const at = positions?.tensor ?? null;
  const run = (kernel: 'attention' | 'attention_backward', tensors: (Tensor | null)[]) =>
    device.run(
      kernel,
      tensors.map((t) => t?.buffer ?? null),
      numbers,
      growth > 0 ? [0, 0, growth] : undefined,
    );
  run('attention', [out, lse, q, k, v, at]);
  if (save) {
    record([q, k, v], [out], ([d]) => {
      const [dq, dk, dv] = [q, k, v].map((x) => Tensor.empty(device, x.shape)) as [Tensor, Tensor, Tensor];
      run('attention_backward', [dq, dk, dv, q, k, v, at, out, lse, d as Tensor]);
      return [dq, dk, dv];
    });
  }
  return out;
}
