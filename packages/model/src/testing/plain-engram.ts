/**
 * @file For tests: Engram token by token on plain arrays, from the equations of the architecture (§3.11) and without the ops
 * of the real one. Float64, one row, slow.
 */
import { type EngramOptions, engramSizes } from '../layers/engram.ts';
import { dot, type Vector } from './plain.ts';

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const bounded = (x: Vector, bound = 100) => x.map((v) => (Number.isNaN(v) ? 0 : Math.min(Math.max(v, -bound), bound)));

/**
 * @param rows hidden states of a document, in order
 * @param ids its tokens
 * @param get values of a weight by its name after the prefix
 */
export function plainEngram(
  rows: Vector[],
  ids: ArrayLike<number>,
  options: EngramOptions,
  get: (name: string) => ArrayLike<number>,
): Vector[] {
  const { dim, heads, orders, gate } = options;
  const { tables, rows: slots, width } = engramSizes(options);
  const times = (name: string, x: Vector): Vector => {
    const w = Array.from(get(`${name}.weight`));
    return Array.from({ length: w.length / x.length }, (_, o) => dot(w.slice(o * x.length, (o + 1) * x.length), x));
  };
  const canonical = (t: number) => (t < 0 ? 0n : BigInt(get('token_map')[ids[t] as number] as number));
  const found = (t: number): Vector =>
    Array.from({ length: tables }, (_, j) => {
      const n = orders[Math.floor(j / heads)] as number;
      let hash = BigInt(get('seeds')[j] as number);
      for (let i = 0; i < n; i++) hash = BigInt.asIntN(64, hash * 2654435761n) ^ canonical(t - n + 1 + i);
      const slot = Number((hash < 0n ? -hash : hash) % BigInt(slots));
      return Array.from({ length: width }, (_, c) => get('embed_tables')[(j * slots + slot) * width + c] as number);
    }).flat();

  const taken = rows.map((h, t) => {
    const e = bounded(times('embed_proj', bounded(found(t), 10)));
    const [q, k, v] = [times('q_proj', h), times('W_K', e), times('W_V', e)].map((x) => bounded(x)) as [
      Vector,
      Vector,
      Vector,
    ];
    const cosine = dot(q, k) / Math.sqrt(dot(q, q) * dot(k, k));
    const alpha = sigmoid(gate === 'public' ? cosine / Math.sqrt(dim) : cosine * Math.sqrt(dim));
    return bounded(v.map((x) => alpha * x));
  });
  const normed = taken.map((x) =>
    bounded(x.map((v, c) => (v * (get('conv_norm.weight')[c] as number)) / Math.sqrt(dot(x, x) / dim + 1e-6))),
  );
  return taken.map((g, t) => {
    const y = g.map((own, c) => {
      let sum = 0;
      for (let tap = 0; tap < 4; tap++) {
        sum += (get('conv.weight')[c * 4 + tap] as number) * (normed[t - 3 * (3 - tap)]?.[c] ?? 0);
      }
      return sum * sigmoid(sum) + own;
    });
    return bounded(times('out_proj', bounded(y)));
  });
}
