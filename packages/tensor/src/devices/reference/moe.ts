/**
 * @file Reference mixture of experts. An assignment a = n K + k says that token n goes to its k-th expert; `order` lists
 * assignments by expert, `inverse` is where each one went.
 */
import { sigmoid, sigmoidSlope } from './scalar.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

/** Scores outside the `kept` best groups (equal runs of experts, each as good as its two best) become −∞. */
function keepGroups(score: number[], groups: number, kept: number): number[] {
  const size = score.length / groups;
  const best = Array.from({ length: groups }, (_, g) =>
    score
      .slice(g * size, (g + 1) * size)
      .sort((a, b) => b - a)
      .slice(0, 2)
      .reduce((a, b) => a + b),
  );
  const chosen = best
    .map((_, g) => g)
    .sort((a, b) => best[b] - best[a] || a - b)
    .slice(0, kept);
  return score.map((s, e) => (chosen.includes(Math.floor(e / size)) ? s : Number.NEGATIVE_INFINITY));
}

/**
 * The K best of sigmoid(z) + bias (ties: lowest index; NaN last) within the kept groups; gate = scale · softmax of the
 * chosen raw logits or, summed, scale · their sigmoids over the sum of these.
 */
export const route: ReferenceKernel = (p, n) => {
  const [ids, gates, logits, bias] = p as Numbers[];
  const [N, E, K, summed, groups, kept, scale] = n;
  for (let row = 0; row < N; row++) {
    const z = logits.subarray(row * E, (row + 1) * E);
    const all = Array.from(z, (x, e) => {
      const s = sigmoid(x) + bias[e];
      return Number.isNaN(s) ? -1e38 : s;
    });
    const score = kept < groups ? keepGroups(all, groups, kept) : all;
    const chosen = score.map((_, e) => e).sort((a, b) => score[b] - score[a] || a - b);
    const top = Math.max(...chosen.slice(0, K).map((e) => z[e]));
    const mass = (k: number) => (summed ? sigmoid(z[chosen[k]]) : Math.exp(z[chosen[k]] - top));
    let total = summed ? 1e-20 : 0;
    for (let k = 0; k < K; k++) total += mass(k);
    for (let k = 0; k < K; k++) {
      ids[row * K + k] = chosen[k];
      gates[row * K + k] = (scale * mass(k)) / total;
    }
  }
};

/** Backward of the gates, scattered to the chosen logits; the choice itself has no gradient. */
export const route_backward: ReferenceKernel = (p, n) => {
  const [dlogits, ids, gates, dgates, logits] = p as Numbers[];
  const [N, E, K, summed, , , scale] = n;
  dlogits.fill(0, 0, N * E);
  for (let row = 0; row < N; row++) {
    let mean = 0;
    for (let a = row * K; a < (row + 1) * K; a++) mean += gates[a] * dgates[a];
    let total = 1e-20;
    for (let a = row * K; a < (row + 1) * K; a++) total += sigmoid(logits[row * E + ids[a]]);
    for (let a = row * K; a < (row + 1) * K; a++) {
      const at = row * E + ids[a];
      dlogits[at] = summed
        ? ((scale * dgates[a] - mean) / total) * sigmoidSlope(logits[at])
        : gates[a] * (dgates[a] - mean / scale);
    }
  }
};

/** Assignments sorted by expert, stable; expert e owns offsets[e] .. offsets[e+1] of the order. */
export const moe_plan: ReferenceKernel = (p, n) => {
  const [order, inverse, offsets, counts, ids] = p as Numbers[];
  const [total, E] = n;
  let at = 0;
  for (let e = 0; e < E; e++) {
    offsets[e] = at;
    for (let a = 0; a < total; a++) {
      if (ids[a] !== e) continue;
      order[at] = a;
      inverse[a] = at++;
    }
    counts[e] = at - offsets[e];
  }
  offsets[E] = at;
};

/** out[i] = x[order[i] / K]. */
export const moe_gather: ReferenceKernel = (p, n) => {
  const [out, x, order] = p as Numbers[];
  const [total, K, D] = n;
  for (let i = 0; i < total; i++) {
    for (let d = 0; d < D; d++) out[i * D + d] = x[Math.floor(order[i] / K) * D + d];
  }
};

/** dx[n] = sum_k dout[inverse[n K + k]]. */
export const moe_gather_backward: ReferenceKernel = (p, n) => {
  const [dx, dout, inverse] = p as Numbers[];
  const [N, K, D] = n;
  for (let row = 0; row < N; row++) {
    for (let d = 0; d < D; d++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += dout[inverse[row * K + k] * D + d];
      dx[row * D + d] = sum;
    }
  }
};

/** out[n] = sum_k gates[n,k] y[inverse[n K + k]]. */
export const moe_combine: ReferenceKernel = (p, n) => {
  const [out, y, gates, inverse] = p as Numbers[];
  const [N, K, D] = n;
  for (let row = 0; row < N; row++) {
    for (let d = 0; d < D; d++) {
      let sum = 0;
      for (let a = row * K; a < (row + 1) * K; a++) sum += gates[a] * y[inverse[a] * D + d];
      out[row * D + d] = sum;
    }
  }
};

export const moe_combine_backward: ReferenceKernel = (p, n) => {
  const [dy, dgates, y, gates, inverse, dout] = p as Numbers[];
  const [N, K, D] = n;
  for (let a = 0; a < N * K; a++) {
    const row = Math.floor(a / K);
    let sum = 0;
    for (let d = 0; d < D; d++) {
      sum += dout[row * D + d] * y[inverse[a] * D + d];
      dy[inverse[a] * D + d] = gates[a] * dout[row * D + d];
    }
    dgates[a] = sum;
  }
};

/** out = aux sum_e f_e P_e + z mean(logit^2), f_e = count_e / (N K), P_e = mean over tokens of sigmoid(logit). */
export const router_loss: ReferenceKernel = (p, n) => {
  const [out, logits, counts] = p as Numbers[];
  const [N, E, K, aux, z] = n;
  let balance = 0;
  let squares = 0;
  for (let row = 0; row < N; row++) {
    for (let e = 0; e < E; e++) {
      const x = logits[row * E + e];
      squares += x ** 2;
      balance += ((counts[e] / (N * K)) * sigmoid(x)) / N;
    }
  }
  out[0] = aux * balance + (z * squares) / (N * E);
};

export const router_loss_backward: ReferenceKernel = (p, n) => {
  const [dlogits, logits, counts, dout] = p as Numbers[];
  const [N, E, K, aux, z] = n;
  for (let i = 0; i < N * E; i++) {
    const balance = (counts[i % E] / (N * K * N)) * sigmoidSlope(logits[i]);
    dlogits[i] = dout[0] * (aux * balance + (z * 2 * logits[i]) / (N * E));
  }
};
