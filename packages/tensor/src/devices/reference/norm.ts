/** @file Reference normalisations over the last axis. */
import { sigmoid, sigmoidSlope, silu, siluSlope } from './scalar.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

/** 1 / sqrt(mean(x^2) + eps) of row i. */
function inverseRms(x: Numbers, i: number, N: number, eps: number): number {
  return 1 / Math.sqrt(dotRow(x, x, i, N) / N + eps);
}

function dotRow(x: Numbers, y: Numbers, i: number, N: number): number {
  let sum = 0;
  for (let j = i * N; j < (i + 1) * N; j++) sum += x[j] * y[j];
  return sum;
}

/** y = (w + offset) x r. */
export const rms_norm: ReferenceKernel = (p, n) => {
  const [y, x, w] = p as Numbers[];
  const [M, N, eps, offset = 0] = n;
  for (let i = 0; i < M; i++) {
    const r = inverseRms(x, i, N, eps);
    for (let j = 0; j < N; j++) y[i * N + j] = x[i * N + j] * r * (w[j] + offset);
  }
};

/** With t = dy (w + offset): dx (+)= r t - r^3 <t,x>/N x. The work buffer is not needed here. */
export const rms_norm_backward: ReferenceKernel = (p, n) => {
  const [dx, dw, x, w, dy] = p as Numbers[];
  const [M, N, eps, offset = 0, adds = 0] = n;
  const sums = new Float64Array(N);
  for (let i = 0; i < M; i++) {
    const r = inverseRms(x, i, N, eps);
    let inner = 0;
    for (let j = 0; j < N; j++) inner += dy[i * N + j] * (w[j] + offset) * x[i * N + j];
    for (let j = 0; j < N; j++) {
      const at = i * N + j;
      sums[j] += dy[at] * x[at] * r;
      const found = dy[at] * (w[j] + offset) * r - ((r ** 3 * inner) / N) * x[at];
      dx[at] = adds ? dx[at] + found : found;
    }
  }
  dw.set(sums);
};

/** By operation number: sigmoid, silu. */
const GATE = [sigmoid, silu];
const GATE_SLOPE = [sigmoidSlope, siluSlope];

/** y = w x r gate(g). */
export const gated_norm: ReferenceKernel = (p, n) => {
  const [y, x, w, gate] = p as Numbers[];
  const [M, N, eps, op] = n;
  for (let i = 0; i < M; i++) {
    const r = inverseRms(x, i, N, eps);
    for (let j = 0; j < N; j++) y[i * N + j] = x[i * N + j] * r * w[j] * GATE[op](gate[i * N + j]);
  }
};

export const gated_norm_backward: ReferenceKernel = (p, n) => {
  const [dx, dw, dgate, x, w, gate, dy] = p as Numbers[];
  const [M, N, eps, op] = n;
  const sums = new Float64Array(N);
  const t = new Float64Array(N);
  for (let i = 0; i < M; i++) {
    const r = inverseRms(x, i, N, eps);
    let inner = 0;
    for (let j = 0; j < N; j++) {
      const at = i * N + j;
      const open = GATE[op](gate[at]);
      t[j] = dy[at] * w[j] * open;
      inner += t[j] * x[at];
      sums[j] += dy[at] * open * x[at] * r;
      dgate[at] = dy[at] * x[at] * r * w[j] * GATE_SLOPE[op](gate[at]);
    }
    for (let j = 0; j < N; j++) dx[i * N + j] = t[j] * r - ((r ** 3 * inner) / N) * x[i * N + j];
  }
  dw.set(sums);
};

/** y = scale x / max(|x|, 1e-12). */
export const l2_norm: ReferenceKernel = (p, n) => {
  const [y, x] = p as Numbers[];
  const [M, N, scale] = n;
  for (let i = 0; i < M; i++) {
    const length = Math.max(Math.sqrt(dotRow(x, x, i, N)), 1e-12);
    for (let j = i * N; j < (i + 1) * N; j++) y[j] = (scale * x[j]) / length;
  }
};

/** dx = scale (dy - x^ <x^,dy>) / |x|, where x^ is the unit row. */
export const l2_norm_backward: ReferenceKernel = (p, n) => {
  const [dx, x, dy] = p as Numbers[];
  const [M, N, scale] = n;
  for (let i = 0; i < M; i++) {
    const length = Math.max(Math.sqrt(dotRow(x, x, i, N)), 1e-12);
    const along = dotRow(x, dy, i, N) / length ** 2;
    for (let j = i * N; j < (i + 1) * N; j++) dx[j] = (scale * (dy[j] - along * x[j])) / length;
  }
};
