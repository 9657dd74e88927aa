/** @file Reference softmax attention: grouped query heads, causal, within segments. */
import type { Numbers, ReferenceKernel } from './types.ts';

interface Shape {
  T: number;
  S: number;
  room: number;
  H: number;
  Hk: number;
  D: number;
  scale: number;
  position: Numbers | null;
}

function shapeOf(n: readonly number[], position: Numbers | null): Shape {
  const [, T, S, room, H, Hk, D, scale] = n;
  return { T, S, room, H, Hk, D, scale, position };
}

/** Query (b, t, h): its row, the key rows it sees (in order) and its scores with them. */
interface Query {
  row: number;
  keys: number[];
  scores: number[];
}

function query(g: Shape, q: Numbers, k: Numbers, b: number, t: number, h: number): Query {
  const row = (b * g.T + t) * g.H + h;
  const own = g.S - g.T + t;
  const first = g.position ? Math.min(own, Math.max(0, own - g.position[b * g.T + t])) : 0;
  const keys: number[] = [];
  const scores: number[] = [];
  for (let s = first; s <= own; s++) {
    const key = (b * g.room + s) * g.Hk + Math.floor(h / (g.H / g.Hk));
    let score = 0;
    for (let d = 0; d < g.D; d++) score += q[row * g.D + d] * k[key * g.D + d];
    keys.push(key);
    scores.push(g.scale * score);
  }
  return { row, keys, scores };
}

/** o_t = sum_j softmax_j(scale q_t·k_j) v_j; the queries are the last T of S tokens, position counts the visible past. */
export const attention: ReferenceKernel = (p, n) => {
  const [out, lse, q, k, v, position] = p as [Numbers, Numbers | null, Numbers, Numbers, Numbers, Numbers | null];
  const g = shapeOf(n, position);
  for (let b = 0; b < n[0]; b++) {
    for (let t = 0; t < g.T; t++) {
      for (let h = 0; h < g.H; h++) {
        const { row, keys, scores } = query(g, q, k, b, t, h);
        const top = scores.reduce((a, x) => Math.max(a, x));
        const total = scores.reduce((sum, x) => sum + Math.exp(x - top), 0);
        for (let d = 0; d < g.D; d++) {
          let o = 0;
          for (const [j, key] of keys.entries()) o += (Math.exp(scores[j] - top) / total) * v[key * g.D + d];
          out[row * g.D + d] = o;
        }
        if (lse) lse[row] = top + Math.log(total);
      }
    }
  }
};

/** dS = P (dP − o·do) from the saved log-sum-exp. Rows of keys and values past S get zero. */
export const attention_backward: ReferenceKernel = (p, n) => {
  const [dq, dk, dv, q, k, v, position, out, lse, dout] = p as [
    Numbers,
    Numbers,
    Numbers,
    Numbers,
    Numbers,
    Numbers,
    Numbers | null,
    Numbers,
    Numbers,
    Numbers,
  ];
  const g = shapeOf(n, position);
  const [sumK, sumV] = [new Float64Array(dk.length), new Float64Array(dv.length)];
  for (let b = 0; b < n[0]; b++) {
    for (let t = 0; t < g.T; t++) {
      for (let h = 0; h < g.H; h++) {
        const { row, keys, scores } = query(g, q, k, b, t, h);
        const sumQ = new Float64Array(g.D);
        let delta = 0;
        for (let d = 0; d < g.D; d++) delta += out[row * g.D + d] * dout[row * g.D + d];
        for (const [j, key] of keys.entries()) {
          const probability = Math.exp(scores[j] - lse[row]);
          let slope = -delta;
          for (let d = 0; d < g.D; d++) slope += dout[row * g.D + d] * v[key * g.D + d];
          slope *= probability * g.scale;
          for (let d = 0; d < g.D; d++) {
            sumV[key * g.D + d] += probability * dout[row * g.D + d];
            sumK[key * g.D + d] += slope * q[row * g.D + d];
            sumQ[d] += slope * k[key * g.D + d];
          }
        }
        dq.set(sumQ, row * g.D);
      }
    }
  }
  dk.set(sumK);
  dv.set(sumV);
};
