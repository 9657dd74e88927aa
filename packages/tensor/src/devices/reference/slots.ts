/**
 * @file Reference slot attention and its router, token by token; backward by the recurrent adjoint.
 *
 *   K_t = diag(e^g) K_{t-1} + s k^T,  V_t = diag(e^g) V_{t-1} + s v^T,  s = 1 - e^g,  o_t = V_t^T softmax(K_t q_t)
 *
 * States are zero before a token with position 0. The states at the start of each chunk are saved as on every device,
 * K transposed; backward needs only the first, because it keeps every state.
 */
import { sigmoid, softplus } from './scalar.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

const CHUNK = 64;

function rows(x: Numbers, row: number, width: number): Numbers {
  return x.subarray(row * width, (row + 1) * width);
}

function dot(x: Numbers, y: Numbers): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

interface Token {
  q: Numbers;
  k: Numbers;
  v: Numbers;
  g: Numbers;
}

/** S [M, width] becomes diag(e^g) S + s x^T. */
function write(S: Float64Array, g: Numbers, x: Numbers): void {
  for (let m = 0; m < g.length; m++) {
    for (let d = 0; d < x.length; d++) {
      const at = m * x.length + d;
      S[at] = Math.exp(g[m]) * S[at] - Math.expm1(g[m]) * x[d];
    }
  }
}

function softmaxOf(K: Float64Array, q: Numbers, M: number): Float64Array {
  const z = Float64Array.from({ length: M }, (_, m) => dot(rows(K, m, q.length), q));
  const top = z.reduce((a, x) => Math.max(a, x));
  const p = z.map((x) => Math.exp(x - top));
  const total = p.reduce((a, x) => a + x);
  return p.map((x) => x / total);
}

/** Adjoint of `write`: dS becomes the gradient of the state before, dx and dg grow. */
function writeBackward(
  dS: Float64Array,
  before: Float64Array,
  g: Numbers,
  x: Numbers,
  dx: Numbers,
  dg: Float64Array,
): void {
  const D = x.length;
  for (let m = 0; m < g.length; m++) {
    const decay = Math.exp(g[m]);
    for (let d = 0; d < D; d++) {
      const at = m * D + d;
      dx[d] -= Math.expm1(g[m]) * dS[at];
      dg[m] += dS[at] * decay * (before[at] - x[d]);
      dS[at] *= decay;
    }
  }
}

/** One (batch, head) sequence: each token with whether states are zeroed first and whether a chunk begins. */
function* tokens(position: Numbers | null, T: number, b: number) {
  let chunkStart = 0;
  for (let t = 0; t < T; t++) {
    const resets = position !== null && position[b * T + t] === 0;
    const startsChunk = t === 0 || resets || t - chunkStart === CHUNK;
    if (startsChunk) chunkStart = t;
    yield { t, resets, startsChunk };
  }
}

type Optional = Numbers | null;

export const slot_attention: ReferenceKernel = (p, n) => {
  const [out, endK, endV] = p as [Numbers, Numbers, Numbers];
  const [savedK, savedV] = [p[3] as Optional, p[4] as Optional];
  const [q, k, v, g] = p.slice(5, 9) as [Numbers, Numbers, Numbers, Numbers];
  const [startK, startV, position] = p.slice(9) as [Optional, Optional, Optional];
  const [B, T, H, Hk, M, dk, dv, chunks] = n;
  for (let item = 0; item < B * H; item++) {
    const [b, h] = [Math.floor(item / H), item % H];
    const K = startK ? Float64Array.from(rows(startK, item, M * dk)) : new Float64Array(M * dk);
    const V = startV ? Float64Array.from(rows(startV, item, M * dv)) : new Float64Array(M * dv);
    let chunk = 0;
    for (const { t, resets, startsChunk } of tokens(position, T, b)) {
      const row = (b * T + t) * H + h;
      const keyRow = (b * T + t) * Hk + Math.floor(h / (H / Hk));
      if (resets) {
        K.fill(0);
        V.fill(0);
      }
      if (startsChunk && savedK && savedV) {
        const at = item * chunks + chunk++;
        rows(savedK, at, M * dk).set(K.map((_, i) => K[(i % M) * dk + Math.floor(i / M)]));
        rows(savedV, at, M * dv).set(V);
      }
      write(K, rows(g, row, M), rows(k, keyRow, dk));
      write(V, rows(g, row, M), rows(v, keyRow, dv));
      const probability = softmaxOf(K, rows(q, row, dk), M);
      for (let d = 0; d < dv; d++) {
        let o = 0;
        for (let m = 0; m < M; m++) o += probability[m] * V[m * dv + d];
        out[row * dv + d] = o;
      }
    }
    rows(endK, item, M * dk).set(K);
    rows(endV, item, M * dv).set(V);
  }
};

export const slot_attention_backward: ReferenceKernel = (p, n) => {
  const [dq, dkOut, dvOut, dgOut] = p as [Numbers, Numbers, Numbers, Numbers];
  const [dstartK, dstartV] = [p[4] as Optional, p[5] as Optional];
  const [savedK, savedV, q, k, v, g] = p.slice(6, 12) as [Numbers, Numbers, Numbers, Numbers, Numbers, Numbers];
  const position = p[12] as Optional;
  const dout = p[13] as Numbers;
  const [dendK, dendV] = [p[14] as Optional, p[15] as Optional];
  const [B, T, H, Hk, M, dk, dv, chunks] = n;
  const [sumK, sumV] = [new Float64Array(dkOut.length), new Float64Array(dvOut.length)];
  for (let item = 0; item < B * H; item++) {
    const [b, h] = [Math.floor(item / H), item % H];
    const keyRowOf = (t: number) => (b * T + t) * Hk + Math.floor(h / (H / Hk));
    const tokenAt = (t: number): Token => {
      const row = (b * T + t) * H + h;
      return {
        q: rows(q, row, dk),
        k: rows(k, keyRowOf(t), dk),
        v: rows(v, keyRowOf(t), dv),
        g: rows(g, row, M),
      };
    };
    const [K, V] = [new Float64Array(M * dk), new Float64Array(M * dv)];
    if (T > 0) {
      const first = rows(savedK, item * chunks, M * dk);
      for (let i = 0; i < K.length; i++) K[(i % M) * dk + Math.floor(i / M)] = first[i];
      V.set(rows(savedV, item * chunks, M * dv));
    }
    const steps = [...tokens(position, T, b)].map(({ t, resets }) => {
      if (resets) {
        K.fill(0);
        V.fill(0);
      }
      const [beforeK, beforeV] = [K.slice(), V.slice()];
      const token = tokenAt(t);
      write(K, token.g, token.k);
      write(V, token.g, token.v);
      return { t, resets, token, beforeK, beforeV, K: K.slice(), V: V.slice() };
    });
    const dK = dendK ? Float64Array.from(rows(dendK, item, M * dk)) : new Float64Array(M * dk);
    const dV = dendV ? Float64Array.from(rows(dendV, item, M * dv)) : new Float64Array(M * dv);
    for (const step of steps.reverse()) {
      const { t, token } = step;
      const row = (b * T + t) * H + h;
      const d = rows(dout, row, dv);
      const probability = softmaxOf(step.K, token.q, M);
      const dP = probability.map((_, m) => dot(rows(step.V, m, dv), d));
      const mean = dot(probability, dP);
      const dqRow = new Float64Array(dk);
      for (let m = 0; m < M; m++) {
        const dz = probability[m] * (dP[m] - mean);
        for (let c = 0; c < dv; c++) dV[m * dv + c] += probability[m] * d[c];
        for (let c = 0; c < dk; c++) {
          dqRow[c] += dz * step.K[m * dk + c];
          dK[m * dk + c] += dz * token.q[c];
        }
      }
      dq.set(dqRow, row * dk);
      const dg = new Float64Array(M);
      writeBackward(dK, step.beforeK, token.g, token.k, rows(sumK, keyRowOf(t), dk), dg);
      writeBackward(dV, step.beforeV, token.g, token.v, rows(sumV, keyRowOf(t), dv), dg);
      dgOut.set(dg, row * M);
      if (step.resets) {
        dK.fill(0);
        dV.fill(0);
      }
    }
    if (dstartK) rows(dstartK, item, M * dk).set(dK);
    if (dstartV) rows(dstartV, item, M * dv).set(dV);
  }
  dkOut.set(sumK);
  dvOut.set(sumV);
};

/** The K best of p + bias; ties go to the lowest index. */
function chosen(p: Float64Array, bias: Numbers | null, h: number, K: number): number[] {
  const key = p.map((x, m) => x + (bias ? bias[h * p.length + m] : 0));
  return [...p.keys()].sort((a, b) => key[b] - key[a] || a - b).slice(0, K);
}

/** g = f w with w = p / (sum of the chosen p + 1e-9), p = sigmoid(r), f = -e^A softplus(z + dt); 0 where not chosen. */
export const slot_gates: ReferenceKernel = (p, n) => {
  const [g, r, z, rate, shift] = p as Numbers[];
  const bias = p[5] as Optional;
  const [tokens, H, M, K] = n;
  g.fill(0);
  for (let row = 0; row < tokens * H; row++) {
    const h = row % H;
    const score = Float64Array.from(rows(r, row, M), sigmoid);
    const best = chosen(score, bias, h, K);
    const total = best.reduce((sum, m) => sum + score[m], 1e-9);
    const f = -Math.exp(rate[h]) * softplus(z[row] + shift[h]);
    for (const m of best) g[row * M + m] = (f * score[m]) / total;
  }
};

/** The choice is constant; dA_log comes per row. */
export const slot_gates_backward: ReferenceKernel = (p, n) => {
  const [dr, dz, drate, r, z, rate, shift] = p as Numbers[];
  const [bias, dg] = [p[7] as Optional, p[8] as Numbers];
  const [tokens, H, M, K] = n;
  dr.fill(0);
  for (let row = 0; row < tokens * H; row++) {
    const h = row % H;
    const score = Float64Array.from(rows(r, row, M), sigmoid);
    const best = chosen(score, bias, h, K);
    const total = best.reduce((sum, m) => sum + score[m], 1e-9);
    const f = -Math.exp(rate[h]) * softplus(z[row] + shift[h]);
    const df = best.reduce((sum, m) => sum + (dg[row * M + m] * score[m]) / total, 0);
    for (const m of best) dr[row * M + m] = (f / total) * (dg[row * M + m] - df) * score[m] * sigmoid(-r[row * M + m]);
    dz[row] = -df * Math.exp(rate[h]) * sigmoid(z[row] + shift[h]);
    drate[row] = df * f;
  }
};
