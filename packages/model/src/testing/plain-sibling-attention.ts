/**
 * @file For tests: one layer of each mechanism that can stand in the place of Quasar attention, token by token on plain arrays,
 * from its equations (architecture §3.5.11) and without the ops of the real one. Float64, one row, slow.
 */
import type { HeadOptions } from '../layers/heads.ts';
import type { Sibling } from '../layers/sibling-attention.ts';
import { dot, heads, type Vector } from './plain.ts';

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const silu = (x: number) => x * sigmoid(x);
const softplus = (x: number) => Math.log1p(Math.exp(x));

/**
 * @param rows inputs of a document, in order
 * @param get values of a weight by its name after the prefix
 * @param theta base of the rotation of all channels
 */
export function plainSiblingAttention(
  rows: Vector[],
  sibling: Sibling,
  { heads: H, headDim: E, convSize: W, normEps }: HeadOptions,
  get: (name: string) => ArrayLike<number>,
  theta: number,
): Vector[] {
  const times = (name: string, x: Vector): Vector => {
    const w = Array.from(get(`${name}.weight`));
    return Array.from({ length: w.length / x.length }, (_, o) => dot(w.slice(o * x.length, (o + 1) * x.length), x));
  };
  const convolved = (name: string) => {
    const x = rows.map((u) => times(`${name}_proj`, u));
    const w = get(`${name}_conv1d.weight`);
    return x.map((row, t) => {
      const sums = row.map((_, c) =>
        Array.from({ length: W }, (_, j) => (w[c * W + j] as number) * (x[t - W + 1 + j]?.[c] ?? 0)),
      );
      return heads(
        sums.map((terms) => silu(terms.reduce((a, b) => a + b, 0))),
        H,
      );
    });
  };
  const turned = (x: Vector, position: number) =>
    x.map((_, i) => {
      const j = i % (E / 2);
      const angle = position * theta ** ((-2 * j) / E);
      const [a, b] = [x[j] as number, x[j + E / 2] as number];
      return i < E / 2 ? a * Math.cos(angle) - b * Math.sin(angle) : b * Math.cos(angle) + a * Math.sin(angle);
    });
  const unit = (x: Vector) => x.map((value) => value / Math.sqrt(dot(x, x)));
  const [q, k] = [convolved('q'), convolved('k')].map((x) => x.map((row, t) => row.map((head) => turned(head, t))));
  const v = convolved('v');

  /** What each key channel of the state keeps. */
  const kept = (u: Vector, h: number): Vector => {
    const rate = (z: number, channel: number) =>
      Math.exp(-Math.exp(get('A_log')[h] as number) * softplus(z + (get('dt_bias')[channel] as number)));
    const lowRank = (name: string) => heads(times(`${name}.1`, times(`${name}.0`, u)), H)[h] as Vector;
    switch (sibling) {
      case 'gated_delta_net':
        return new Array<number>(E).fill(rate(times('a_proj', u)[h] as number, h));
      case 'kda':
        return lowRank('f_proj').map((z, i) => rate(z, h * E + i));
      case 'gla':
        return lowRank('gk_proj').map((z, i) => sigmoid(z + (get('gk_proj.1.bias')[h * E + i] as number)) ** (1 / 16));
      default:
        return new Array<number>(E).fill(1);
    }
  };

  const states = Array.from({ length: H }, () => new Float64Array(E * E));
  return rows.map((u, t) => {
    const gate = times('g_proj.1', times('g_proj.0', u)).map((x, i) => x + (get('g_proj.1.bias')[i] as number));
    const out = states.flatMap((S, h) => {
      const at = (x: Vector[][] | undefined, token = t) => x?.[token]?.[h] as Vector;
      const read = (query: Vector) =>
        query.map((_, j) => query.reduce((sum, x, i) => sum + x * (S[i * E + j] as number), 0));
      let o: Vector;
      if (sibling === 'softmax') {
        const scores = rows.slice(0, t + 1).map((_, s) => Math.exp(dot(at(q), at(k, s)) / Math.sqrt(E)));
        const total = scores.reduce((a, b) => a + b, 0);
        o = at(v).map((_, j) => scores.reduce((sum, x, s) => sum + (x / total) * (at(v, s)[j] as number), 0));
      } else {
        kept(u, h).forEach((share, i) => {
          for (let j = 0; j < E; j++) S[i * E + j] = share * (S[i * E + j] as number);
        });
        const isDelta = sibling !== 'gla';
        const key = isDelta ? unit(at(k)) : at(k);
        const known = read(key);
        const beta = isDelta ? sigmoid(times('b_proj', u)[h] as number) : 1;
        key.forEach((x, i) => {
          at(v).forEach((value, j) => {
            S[i * E + j] = (S[i * E + j] as number) + beta * x * (isDelta ? value - (known[j] as number) : value);
          });
        });
        o = read(isDelta ? unit(at(q)) : at(q)).map((x) => x / Math.sqrt(E));
      }
      const rms = Math.sqrt(dot(o, o) / E + normEps);
      return o.map(
        (x, i) => (x / rms) * (get('o_norm.weight')[i] as number) * sigmoid(heads(gate, H)[h]?.[i] as number),
      );
    });
    return times('o_proj', out);
  });
}
