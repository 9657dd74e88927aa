/**
 * @file Reference linear recurrences, token by token; backward by the recurrent adjoint (architecture 3.5.7).
 *
 *   S_t = F_t S_{t-1} + k_t d_t^T,  o_t = S_t^T q_t,  F_t = diag(e^{g_t}) or 1
 *   d_t = w_t v_t (rule 0) or w_t v_t - e_t (F_t S_{t-1})^T k_t (rule 1: e = w; rule 2)
 *
 * S is zero before a token with position 0. `saved` holds the state at the start of each chunk, which ends after `chunk`
 * tokens or where a segment starts, as on every device; backward needs only the first one, because it keeps every state.
 */
import type { Numbers, ReferenceKernel } from './types.ts';

const [ADD, DELTA, ERASE] = [0, 1, 2];
const [NO_DECAY, PER_HEAD] = [0, 1];

interface Shape {
  B: number;
  T: number;
  H: number;
  dk: number;
  dv: number;
  chunk: number;
  chunks: number;
  rule: number;
  decay: number;
}

function shapeOf(n: readonly number[]): Shape {
  const [B, T, H, dk, dv, chunk, chunks, rule, decay] = n;
  return { B, T, H, dk, dv, chunk, chunks, rule, decay };
}

/** One token of one head. `factor` is e^g per key channel. */
interface Token {
  q: Numbers;
  k: Numbers;
  v: Numbers;
  write: number;
  erase: number;
  factor: Float64Array;
}

type Inputs = Record<'q' | 'k' | 'v', Numbers> & Record<'write' | 'erase' | 'gate' | 'position', Numbers | null>;

function rows(x: Numbers, row: number, width: number): Numbers {
  return x.subarray(row * width, (row + 1) * width);
}

function tokenAt({ dk, dv, rule, decay }: Shape, inputs: Inputs, row: number): Token {
  const write = inputs.write ? inputs.write[row] : 1;
  const erase = rule === ADD ? 0 : rule === DELTA ? write : (inputs.erase as Numbers)[row];
  const factor = Float64Array.from({ length: dk }, (_, i) => {
    if (decay === NO_DECAY) return 1;
    return Math.exp((inputs.gate as Numbers)[decay === PER_HEAD ? row : row * dk + i]);
  });
  return { q: rows(inputs.q, row, dk), k: rows(inputs.k, row, dk), v: rows(inputs.v, row, dv), write, erase, factor };
}

/** Decays S in place; gives what the key recalls and what is written. */
function recall(S: Float64Array, { k, v, write, erase, factor }: Token): { y: Float64Array; d: Float64Array } {
  const dv = v.length;
  const y = new Float64Array(dv);
  for (let i = 0; i < k.length; i++) {
    for (let j = 0; j < dv; j++) {
      S[i * dv + j] *= factor[i];
      y[j] += S[i * dv + j] * k[i];
    }
  }
  return { y, d: y.map((recalled, j) => write * v[j] - erase * recalled) };
}

function step(S: Float64Array, token: Token): void {
  const { d } = recall(S, token);
  const dv = d.length;
  for (let i = 0; i < token.k.length; i++) {
    for (let j = 0; j < dv; j++) S[i * dv + j] += token.k[i] * d[j];
  }
}

/** Tokens of sequence b in order: whether the state is zeroed first, and whether a chunk begins. */
function* tokensOf(
  { T, chunk }: Shape,
  position: Numbers | null,
  b: number,
): Generator<{ t: number; resets: boolean; startsChunk: boolean }> {
  let chunkStart = 0;
  for (let t = 0; t < T; t++) {
    const resets = position !== null && position[b * T + t] === 0;
    const startsChunk = t === 0 || resets || t - chunkStart === chunk;
    if (startsChunk) chunkStart = t;
    yield { t, resets, startsChunk };
  }
}

export const recurrence: ReferenceKernel = (p, n) => {
  const [out, end, saved, q, k, v, write, erase, gate, start, position] = p;
  const inputs = { q, k, v, write, erase, gate, position } as Inputs;
  const shape = shapeOf(n);
  const { B, T, H, dk, dv, chunks } = shape;
  const size = dk * dv;
  for (let item = 0; item < B * H; item++) {
    const [b, h] = [Math.floor(item / H), item % H];
    const S = start ? Float64Array.from(rows(start, item, size)) : new Float64Array(size);
    let chunk = 0;
    for (const { t, resets, startsChunk } of tokensOf(shape, inputs.position, b)) {
      const row = (b * T + t) * H + h;
      if (resets) S.fill(0);
      if (startsChunk && saved) rows(saved, item * chunks + chunk++, size).set(S);
      const token = tokenAt(shape, inputs, row);
      step(S, token);
      for (let j = 0; j < dv; j++) {
        let o = 0;
        for (let i = 0; i < dk; i++) o += S[i * dv + j] * token.q[i];
        (out as Numbers)[row * dv + j] = o;
      }
    }
    rows(end as Numbers, item, size).set(S);
  }
};

interface TokenGradient {
  k: Float64Array;
  v: Float64Array;
  write: number;
  erase: number;
  gate: Float64Array;
}

/** From dS_t to dS_{t-1} in place; `before` is S_{t-1}. */
function stepBackward(dS: Float64Array, before: Float64Array, token: Token): TokenGradient {
  const { k, v, write, erase, factor } = token;
  const [dk, dv] = [k.length, v.length];
  const S = before.slice();
  const { y, d } = recall(S, token);
  const dd = new Float64Array(dv);
  const gradient = { k: new Float64Array(dk), v: new Float64Array(dv), write: 0, erase: 0, gate: new Float64Array(dk) };
  for (let i = 0; i < dk; i++) {
    for (let j = 0; j < dv; j++) {
      dd[j] += dS[i * dv + j] * k[i];
      gradient.k[i] += dS[i * dv + j] * d[j];
    }
  }
  for (let j = 0; j < dv; j++) {
    gradient.v[j] = write * dd[j];
    gradient.write += dd[j] * v[j];
    gradient.erase -= dd[j] * y[j];
  }
  for (let i = 0; i < dk; i++) {
    for (let j = 0; j < dv; j++) {
      const at = i * dv + j;
      gradient.k[i] -= S[at] * erase * dd[j];
      dS[at] -= k[i] * erase * dd[j];
      gradient.gate[i] += dS[at] * S[at];
      dS[at] *= factor[i];
    }
  }
  return gradient;
}

export const recurrence_backward: ReferenceKernel = (p, n) => {
  const [dq, dkOut, dvOut, dwrite, derase, dgate, dstart, saved, q, k, v, write, erase, gate, position, dout, dend] = p;
  const inputs = { q, k, v, write, erase, gate, position } as Inputs;
  const shape = shapeOf(n);
  const { B, T, H, dk, dv, chunks, rule, decay } = shape;
  const size = dk * dv;
  for (let item = 0; item < B * H; item++) {
    const [b, h] = [Math.floor(item / H), item % H];
    const S = T > 0 ? Float64Array.from(rows(saved as Numbers, item * chunks, size)) : new Float64Array(size);
    const steps: { row: number; resets: boolean; before: Float64Array; after: Float64Array }[] = [];
    for (const { t, resets } of tokensOf(shape, inputs.position, b)) {
      const row = (b * T + t) * H + h;
      if (resets) S.fill(0);
      const before = S.slice();
      step(S, tokenAt(shape, inputs, row));
      steps.push({ row, resets, before, after: S.slice() });
    }
    const dS = dend ? Float64Array.from(rows(dend, item, size)) : new Float64Array(size);
    for (const { row, resets, before, after } of steps.reverse()) {
      const token = tokenAt(shape, inputs, row);
      for (let i = 0; i < dk; i++) {
        let sum = 0;
        for (let j = 0; j < dv; j++) {
          const d = (dout as Numbers)[row * dv + j];
          sum += after[i * dv + j] * d;
          dS[i * dv + j] += token.q[i] * d;
        }
        (dq as Numbers)[row * dk + i] = sum;
      }
      const gradient = stepBackward(dS, before, token);
      rows(dkOut as Numbers, row, dk).set(gradient.k);
      rows(dvOut as Numbers, row, dv).set(gradient.v);
      if (dwrite) dwrite[row] = gradient.write + (rule === DELTA ? gradient.erase : 0);
      if (derase && rule === ERASE) derase[row] = gradient.erase;
      if (dgate && decay === PER_HEAD) dgate[row] = gradient.gate.reduce((a, x) => a + x, 0);
      else if (dgate) rows(dgate, row, dk).set(gradient.gate);
      if (resets) dS.fill(0);
    }
    if (dstart) rows(dstart, item, size).set(dS);
  }
};
