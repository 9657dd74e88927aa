/**
 * @file Reference delta rule and gated linear attention, token by token; backward by the recurrent adjoint.
 *
 *   delta  S_t = S_{t-1} + alpha_t k_t (v_t - S_{t-1}^T k_t)^T        o_t = S_t^T q_t
 *   gla    S_t = diag(e^{g_t}) S_{t-1} + k_t v_t^T                    o_t = S_t^T q_t
 *
 * S is zero before a token with position 0. `saved` holds the state at the start of each chunk of 64 tokens (or at a
 * segment's start), as on every device; backward needs only the first one, because it keeps every state.
 */
import type { Numbers, ReferenceKernel } from './types.ts';

const CHUNK = 64;

interface Shape {
  B: number;
  T: number;
  H: number;
  dk: number;
  dv: number;
  chunks: number;
  position: Numbers | null;
}

/** One token of one head: views of its rows. `gate` is one number (delta) or one per key channel (gla). */
interface Token {
  q: Numbers;
  k: Numbers;
  v: Numbers;
  gate: Numbers;
}

/** S becomes S_t. */
type Step = (S: Float64Array, token: Token, dk: number, dv: number) => void;

interface TokenGradient {
  dq: Numbers;
  dk: Numbers;
  dv: Numbers;
  dgate: Numbers;
}

/** From dS_t (with the part of the output included) to dS_{t-1} in place, and the gradients of k, v and gate. */
type StepBackward = (
  dS: Float64Array,
  before: Float64Array,
  token: Token,
  out: TokenGradient,
  dk: number,
  dv: number,
) => void;

const deltaStep: Step = (S, { k, v, gate }, dk, dv) => {
  for (let j = 0; j < dv; j++) {
    let recalled = 0;
    for (let i = 0; i < dk; i++) recalled += S[i * dv + j] * k[i];
    const r = v[j] - recalled;
    for (let i = 0; i < dk; i++) S[i * dv + j] += gate[0] * k[i] * r;
  }
};

const deltaStepBackward: StepBackward = (dS, before, { k, v, gate }, out, dk, dv) => {
  const alpha = gate[0];
  const sums = new Float64Array(dk);
  let dalpha = 0;
  for (let j = 0; j < dv; j++) {
    let r = v[j];
    let y = 0;
    for (let i = 0; i < dk; i++) {
      r -= before[i * dv + j] * k[i];
      y += dS[i * dv + j] * k[i];
    }
    dalpha += y * r;
    out.dv[j] = alpha * y;
    for (let i = 0; i < dk; i++) {
      sums[i] += alpha * (dS[i * dv + j] * r - before[i * dv + j] * y);
      dS[i * dv + j] -= alpha * k[i] * y;
    }
  }
  out.dk.set(sums);
  out.dgate[0] = dalpha;
};

const glaStep: Step = (S, { k, v, gate }, dk, dv) => {
  for (let i = 0; i < dk; i++) {
    const decay = Math.exp(gate[i]);
    for (let j = 0; j < dv; j++) S[i * dv + j] = decay * S[i * dv + j] + k[i] * v[j];
  }
};

const glaStepBackward: StepBackward = (dS, before, { k, v, gate }, out, dk, dv) => {
  const sums = new Float64Array(dv);
  for (let i = 0; i < dk; i++) {
    const decay = Math.exp(gate[i]);
    let dki = 0;
    let dgi = 0;
    for (let j = 0; j < dv; j++) {
      const at = i * dv + j;
      dki += dS[at] * v[j];
      sums[j] += dS[at] * k[i];
      dgi += dS[at] * decay * before[at];
      dS[at] *= decay;
    }
    out.dk[i] = dki;
    out.dgate[i] = dgi;
  }
  out.dv.set(sums);
};

function rows(x: Numbers, row: number, width: number): Numbers {
  return x.subarray(row * width, (row + 1) * width);
}

/** Tokens of sequence b in order: whether the state is zeroed first, and whether a chunk begins. */
function* tokensOf({ T, position }: Shape, b: number): Generator<{ t: number; resets: boolean; startsChunk: boolean }> {
  let chunkStart = 0;
  for (let t = 0; t < T; t++) {
    const resets = position !== null && position[b * T + t] === 0;
    const startsChunk = t === 0 || resets || t - chunkStart === CHUNK;
    if (startsChunk) chunkStart = t;
    yield { t, resets, startsChunk };
  }
}

function forward(step: Step, gateWidth: (dk: number) => number): ReferenceKernel {
  return (p, n) => {
    const [out, end, saved, q, k, v, gate, start, position] = p as [
      Numbers,
      Numbers,
      Numbers | null,
      Numbers,
      Numbers,
      Numbers,
      Numbers,
      Numbers | null,
      Numbers | null,
    ];
    const [B, T, H, dk, dv, chunks] = n;
    const shape = { B, T, H, dk, dv, chunks, position };
    const size = dk * dv;
    const width = gateWidth(dk);
    for (let b = 0; b < B; b++) {
      for (let h = 0; h < H; h++) {
        const item = b * H + h;
        const S = start ? Float64Array.from(rows(start, item, size)) : new Float64Array(size);
        let chunk = 0;
        for (const { t, resets, startsChunk } of tokensOf(shape, b)) {
          const row = (b * T + t) * H + h;
          if (resets) S.fill(0);
          if (startsChunk && saved) rows(saved, item * chunks + chunk++, size).set(S);
          const token = { q: rows(q, row, dk), k: rows(k, row, dk), v: rows(v, row, dv), gate: rows(gate, row, width) };
          step(S, token, dk, dv);
          for (let j = 0; j < dv; j++) {
            let o = 0;
            for (let i = 0; i < dk; i++) o += S[i * dv + j] * token.q[i];
            out[row * dv + j] = o;
          }
        }
        rows(end, item, size).set(S);
      }
    }
  };
}

function backward(step: Step, stepBackward: StepBackward, gateWidth: (dk: number) => number): ReferenceKernel {
  return (p, n) => {
    const [dq, dkOut, dvOut, dgate, dstart, saved, q, k, v, gate, position, dout, dend] = p as [
      Numbers,
      Numbers,
      Numbers,
      Numbers,
      Numbers | null,
      Numbers,
      Numbers,
      Numbers,
      Numbers,
      Numbers,
      Numbers | null,
      Numbers,
      Numbers | null,
    ];
    const [B, T, H, dk, dv, chunks] = n;
    const shape = { B, T, H, dk, dv, chunks, position };
    const size = dk * dv;
    const width = gateWidth(dk);
    for (let b = 0; b < B; b++) {
      for (let h = 0; h < H; h++) {
        const item = b * H + h;
        const tokenAt = (t: number): Token => {
          const row = (b * T + t) * H + h;
          return { q: rows(q, row, dk), k: rows(k, row, dk), v: rows(v, row, dv), gate: rows(gate, row, width) };
        };
        const S = T > 0 ? Float64Array.from(rows(saved, item * chunks, size)) : new Float64Array(size);
        const steps: { t: number; resets: boolean; before: Float64Array; after: Float64Array }[] = [];
        for (const { t, resets } of tokensOf(shape, b)) {
          if (resets) S.fill(0);
          const before = S.slice();
          step(S, tokenAt(t), dk, dv);
          steps.push({ t, resets, before, after: S.slice() });
        }
        const dS = dend ? Float64Array.from(rows(dend, item, size)) : new Float64Array(size);
        for (const { t, resets, before, after } of steps.reverse()) {
          const row = (b * T + t) * H + h;
          const token = tokenAt(t);
          const out = {
            dq: rows(dq, row, dk),
            dk: rows(dkOut, row, dk),
            dv: rows(dvOut, row, dv),
            dgate: rows(dgate, row, width),
          };
          for (let i = 0; i < dk; i++) {
            let sum = 0;
            for (let j = 0; j < dv; j++) {
              const d = dout[row * dv + j];
              sum += after[i * dv + j] * d;
              dS[i * dv + j] += token.q[i] * d;
            }
            out.dq[i] = sum;
          }
          stepBackward(dS, before, token, out, dk, dv);
          if (resets) dS.fill(0);
        }
        if (dstart) rows(dstart, item, size).set(dS);
      }
    }
  };
}

const perHead = (): number => 1;
const perChannel = (dk: number): number => dk;

export const delta_rule = forward(deltaStep, perHead);
export const delta_rule_backward = backward(deltaStep, deltaStepBackward, perHead);
export const gla = forward(glaStep, perChannel);
export const gla_backward = backward(glaStep, glaStepBackward, perChannel);
