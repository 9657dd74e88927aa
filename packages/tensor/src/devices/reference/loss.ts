/** @file Reference vocabulary kernels: rows by id, cross-entropy, KL against a teacher's top k, the top k of a row. */
import type { Numbers, ReferenceKernel } from './types.ts';

/** out[i] = x[ids[i]]. */
export const gather_rows: ReferenceKernel = (p, n) => {
  const [out, x, ids] = p as Numbers[];
  const [M, D] = n;
  for (let i = 0; i < M; i++) {
    for (let d = 0; d < D; d++) out[i * D + d] = x[ids[i] * D + d];
  }
};

/** out = 0; out[ids[i]] += x[i]. */
export const scatter_rows: ReferenceKernel = (p, n) => {
  const [out, x, ids] = p as Numbers[];
  const [M, D, N] = n;
  out.fill(0, 0, N * D);
  for (let i = 0; i < M; i++) {
    for (let d = 0; d < D; d++) out[ids[i] * D + d] += x[i * D + d];
  }
};

export const embedding = gather_rows;
export const embedding_backward = scatter_rows;

function logSumExp(x: Numbers): number {
  let top = -Infinity;
  for (const value of x) top = Math.max(top, value);
  if (top === -Infinity) return top;
  let sum = 0;
  for (const value of x) sum += Math.exp(value - top);
  return top + Math.log(sum);
}

/** loss_i = logsumexp(x_i) - x_i[target_i]; a negative target gives 0. */
export const cross_entropy: ReferenceKernel = (p, n) => {
  const [loss, lse, logits, target] = p as Numbers[];
  const [M, V] = n;
  for (let i = 0; i < M; i++) {
    const x = logits.subarray(i * V, (i + 1) * V);
    lse[i] = logSumExp(x);
    loss[i] = target[i] < 0 ? 0 : lse[i] - x[target[i]];
  }
};

/** dx_v = dloss (q_v - [v = target]). */
export const cross_entropy_backward: ReferenceKernel = (p, n) => {
  const [dlogits, logits, lse, target, dloss] = p as Numbers[];
  const [M, V] = n;
  for (let i = 0; i < M; i++) {
    const scale = target[i] < 0 ? 0 : dloss[i];
    for (let v = 0; v < V; v++) {
      const q = Math.exp(logits[i * V + v] - lse[i]);
      dlogits[i * V + v] = scale === 0 ? 0 : scale * (q - (v === target[i] ? 1 : 0));
    }
  }
};

/** A tail lighter than this is left out of the loss. */
const TAIL_FLOOR = 1e-7;

/** loss_i = sum_k p_k (log p_k - log q_k) + p_tail (log p_tail - log q_tail); lseTail is -Infinity without a tail. */
export const kl_top_k: ReferenceKernel = (p, n) => {
  const [loss, lse, lseTail, logits, ids, logp, tail] = p as Numbers[];
  const [M, V, K] = n;
  for (let i = 0; i < M; i++) {
    const x = logits.subarray(i * V, (i + 1) * V);
    const outside = Float64Array.from(x);
    lse[i] = logSumExp(x);
    lseTail[i] = -Infinity;
    let sum = 0;
    for (let k = i * K; k < (i + 1) * K; k++) {
      sum += Math.exp(logp[k]) * (logp[k] - (x[ids[k]] - lse[i]));
      outside[ids[k]] = -Infinity;
    }
    if (tail[i] >= TAIL_FLOOR && K < V) {
      lseTail[i] = logSumExp(outside);
      sum += tail[i] * (Math.log(tail[i]) - (lseTail[i] - lse[i]));
    }
    loss[i] = sum;
  }
};

/** d loss / d x_v = mass q_v - p_v in the top k, q_v (mass - p_tail / q_tail) outside; mass = all p that count. */
export const kl_top_k_backward: ReferenceKernel = (p, n) => {
  const [dlogits, logits, lse, lseTail, ids, logp, tail, dloss] = p as Numbers[];
  const [M, V, K] = n;
  for (let i = 0; i < M; i++) {
    const hasTail = lseTail[i] !== -Infinity;
    let mass = hasTail ? tail[i] : 0;
    for (let k = i * K; k < (i + 1) * K; k++) mass += Math.exp(logp[k]);
    const fromTail = hasTail ? tail[i] * Math.exp(lse[i] - lseTail[i]) : 0;
    const q = (v: number) => Math.exp(logits[i * V + v] - lse[i]);
    for (let v = 0; v < V; v++) dlogits[i * V + v] = dloss[i] === 0 ? 0 : dloss[i] * q(v) * (mass - fromTail);
    if (dloss[i] === 0) continue;
    for (let k = i * K; k < (i + 1) * K; k++) {
      dlogits[i * V + ids[k]] = dloss[i] * (mass * q(ids[k]) - Math.exp(logp[k]));
    }
  }
};

/** The K largest log-probabilities of each row, best first (ties: lowest id; NaN as -Infinity), and the mass left. */
export const top_k: ReferenceKernel = (p, n) => {
  const [ids, logp, tail, logits] = p as Numbers[];
  const [M, V, K] = n;
  for (let i = 0; i < M; i++) {
    const x = logits.subarray(i * V, (i + 1) * V);
    const value = Array.from(x, (raw) => (Number.isNaN(raw) ? -Infinity : raw));
    const best = value.map((_, v) => v).sort((a, b) => (value[a] === value[b] ? a - b : value[b] - value[a]));
    const lse = logSumExp(x);
    const rest = Float64Array.from(x);
    for (let k = 0; k < K; k++) {
      ids[i * K + k] = best[k];
      logp[i * K + k] = value[best[k]] - lse;
      rest[best[k]] = -Infinity;
    }
    tail[i] = K === V ? 0 : Math.exp(logSumExp(rest) - lse);
  }
};

/**
 * Weighted KL of whole distributions and its gradient; direction 0: teacher to student, 1: student to teacher. An entry that
 * both rule out counts nothing.
 */
export const divergence: ReferenceKernel = (p, n) => {
  const [loss, dlogits, logits, teacher, weights] = p;
  const [M, V, direction, temperature] = n;
  if (!loss || !logits || !teacher) return;
  const logSoftmax = (x: Numbers, i: number) => {
    const row = Float64Array.from(x.subarray(i * V, (i + 1) * V), (value) => value / temperature);
    const lse = logSumExp(row);
    return row.map((value) => value - lse);
  };
  for (let i = 0; i < M; i++) {
    const weight = weights ? weights[i] : 1;
    const [logQ, logP] = [logSoftmax(logits, i), logSoftmax(teacher, i)];
    const [from, to] = direction === 0 ? [logP, logQ] : [logQ, logP];
    let kl = 0;
    for (let v = 0; v < V; v++) if (from[v] > -Infinity) kl += Math.exp(from[v]) * (from[v] - to[v]);
    loss[i] = weight === 0 ? 0 : weight * temperature ** 2 * kl;
    for (let v = 0; dlogits && v < V; v++) {
      const q = Math.exp(logQ[v]);
      const slope = direction === 0 ? q - Math.exp(logP[v]) : q === 0 ? 0 : q * (logQ[v] - logP[v] - kl);
      dlogits[i * V + v] = weight === 0 ? 0 : weight * temperature * slope;
    }
  }
};

/** x[i] *= s[i]. */
export const scale_rows: ReferenceKernel = (p, n) => {
  const [x, s] = p as Numbers[];
  const [M, V] = n;
  for (let i = 0; i < M * V; i++) x[i] *= s[Math.floor(i / V)];
};
