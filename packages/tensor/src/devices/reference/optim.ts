/** @file Reference reductions and AdamW (Loshchilov and Hutter 2019). */
import { gemm } from './gemm.ts';
import { roundTo } from './storage.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

/** out[0] += sum x^2. */
export const sum_squares: ReferenceKernel = (p, n) => {
  const [out, x] = p as Numbers[];
  let sum = 0;
  for (let i = 0; i < n[0]; i++) sum += x[i] ** 2;
  out[0] += sum;
};

/** out[0] = scale sum x y. */
export const dot: ReferenceKernel = (p, n) => {
  const [out, x, y] = p as Numbers[];
  const [count, scale] = n;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += x[i] * y[i];
  out[0] = scale * sum;
};

/** c1, c2 = 1/(1 - b1^t), 1/(1 - b2^t); `scale` multiplies the gradient (clipping). A bf16 or f16 param is its master rounded. */
export const adamw: ReferenceKernel = (p, n) => {
  const [param, m, v, gradient, master] = p as Numbers[];
  const [count, lr, b1, b2, eps, decay, c1, c2, scale, type = 0] = n;
  const weight = type === 0 ? param : master;
  for (let i = 0; i < count; i++) {
    const g = gradient[i] * scale;
    m[i] = b1 * m[i] + (1 - b1) * g;
    v[i] = b2 * v[i] + (1 - b2) * g ** 2;
    weight[i] -= lr * ((m[i] * c1) / (Math.sqrt(v[i] * c2) + eps) + decay * weight[i]);
    if (type !== 0) param[i] = roundTo(type, weight[i]);
  }
};

/** m = momentum m + scale g, u[at..] = momentum m + scale g. */
export const momentum: ReferenceKernel = (p, n) => {
  const [u, m, gradient] = p as Numbers[];
  const [count, factor, scale, at = 0] = n;
  for (let i = 0; i < count; i++) {
    m[i] = factor * m[i] + scale * gradient[i];
    u[at + i] = factor * m[i] + scale * gradient[i];
  }
};

/** Each matrix over its Frobenius norm + 1e-7, then `steps` times X <- a X + b X X^T X + c (X X^T)^2 X. */
export const orthogonalize: ReferenceKernel = (p, n) => {
  const [x] = p as Numbers[];
  const [batch, R, C, steps, a, b, c] = n;
  const form = (transposed: number) => [transposed, 0, 0, 1, 0, 0, 0];
  for (let at = 0; at < batch; at++) {
    const X = x.subarray(at * R * C, (at + 1) * R * C);
    let sum = 0;
    for (const value of X) sum += value ** 2;
    for (let i = 0; i < R * C; i++) X[i] /= Math.sqrt(sum) + 1e-7;
    for (let step = 0; step < steps; step++) {
      const [gram, once, twice] = [new Float64Array(C * C), new Float64Array(R * C), new Float64Array(R * C)];
      gemm([X, X, gram], [C, C, R, ...form(1)]);
      gemm([X, gram, once], [R, C, C, ...form(0)]);
      gemm([once, gram, twice], [R, C, C, ...form(0)]);
      for (let i = 0; i < R * C; i++) X[i] = a * X[i] + b * once[i] + c * twice[i];
    }
  }
};

/** AdamW without decay on the rows in `ids`; gradients of equal ids add up first. */
export const sparse_adam: ReferenceKernel = (p, n) => {
  const [table, m, v, gradient, ids] = p as Numbers[];
  const [M, D, , lr, b1, b2, eps, c1, c2, scale] = n;
  const sums = new Map<number, Float64Array>();
  for (let i = 0; i < M; i++) {
    const sum = sums.get(ids[i]) ?? new Float64Array(D);
    for (let d = 0; d < D; d++) sum[d] += gradient[i * D + d];
    sums.set(ids[i], sum);
  }
  for (const [row, sum] of sums) {
    const [rowTable, rowM, rowV] = [table, m, v].map((x) => x.subarray(row * D, (row + 1) * D));
    adamw([rowTable, rowM, rowV, sum], [D, lr, b1, b2, eps, 0, c1, c2, scale]);
  }
};

/** SMEBU (architecture §3.9.3) of one layer; counts of its loops add up. */
export const smebu: ReferenceKernel = (p, n) => {
  const [layer, E, loops, lambda, kappa, beta] = n;
  const [bias, momentum] = (p.slice(0, 2) as Numbers[]).map((x) => x.subarray(layer * E, (layer + 1) * E));
  const worst = p[2] as Numbers;
  const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);
  const load = Array.from({ length: E }, (_, e) =>
    sum((p.slice(3, 3 + loops) as Numbers[]).map((counts) => counts[e])),
  );
  const mean = sum(load) / E;
  const violation = load.map((count) => (mean - count) / (mean + 1e-6));
  const delta = violation.map((v) => lambda * Math.tanh(kappa * v));
  for (let e = 0; e < E; e++) {
    momentum[e] = beta * momentum[e] + (1 - beta) * (delta[e] - sum(delta) / E);
    const b = bias[e] + momentum[e];
    bias[e] = Number.isFinite(b) ? Math.min(10, Math.max(-10, b)) : 0;
  }
  const centre = sum(bias) / E;
  for (let e = 0; e < E; e++) bias[e] -= centre;
  worst[layer] = 0.99 * worst[layer] - 0.01 * Math.min(0, ...violation);
};
