/** @file Reference elementwise kernels and the broadcasts of linear layers. */
import { sigmoid, sigmoidSlope, silu, siluSlope, softplus } from './scalar.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

export const fill: ReferenceKernel = (p, n) => {
  const [out] = p as Numbers[];
  const [count, value] = n;
  for (let i = 0; i < count; i++) out[i] = value;
};

/** out = s x + t y[at..], or s x + t without y. */
export const axpby: ReferenceKernel = (p, n) => {
  const [out, x, y] = p as [Numbers, Numbers, Numbers | null];
  const [count, s, t, at = 0] = n;
  for (let i = 0; i < count; i++) out[i] = s * x[i] + (y ? t * y[at + i] : t);
};

export const multiply: ReferenceKernel = (p, n) => {
  const [out, x, y] = p as Numbers[];
  for (let i = 0; i < n[0]; i++) out[i] = x[i] * y[i];
};

/** x within [low, high]; NaN stays, or becomes 0. */
export const clamp: ReferenceKernel = (p, n) => {
  const [out, x] = p as Numbers[];
  const [count, low, high, nanIsZero = 0] = n;
  for (let i = 0; i < count; i++) out[i] = nanIsZero && Number.isNaN(x[i]) ? 0 : Math.min(high, Math.max(low, x[i]));
};

export const clamp_backward: ReferenceKernel = (p, n) => {
  const [dx, x, dy] = p as Numbers[];
  const [count, low, high] = n;
  for (let i = 0; i < count; i++) dx[i] = x[i] >= low && x[i] <= high ? dy[i] : 0;
};

/** By operation number: silu, sigmoid, softplus, log sigmoid. */
const UNARY = [silu, sigmoid, softplus, (x: number) => -softplus(-x)];
const UNARY_SLOPE = [siluSlope, sigmoidSlope, sigmoid, (x: number) => sigmoid(-x)];

export const unary: ReferenceKernel = (p, n) => {
  const [out, x] = p as Numbers[];
  const [count, op] = n;
  for (let i = 0; i < count; i++) out[i] = UNARY[op](x[i]);
};

export const unary_backward: ReferenceKernel = (p, n) => {
  const [dx, x, dy] = p as Numbers[];
  const [count, op] = n;
  for (let i = 0; i < count; i++) dx[i] = dy[i] * UNARY_SLOPE[op](x[i]);
};

export const add_bias: ReferenceKernel = (p, n) => {
  const [out, x, bias] = p as Numbers[];
  const [M, N] = n;
  for (let i = 0; i < M * N; i++) out[i] = x[i] + bias[i % N];
};

export const scale_columns: ReferenceKernel = (p, n) => {
  const [out, x, w] = p as Numbers[];
  const [M, N] = n;
  for (let i = 0; i < M * N; i++) out[i] = x[i] * w[i % N];
};

export const sum_rows: ReferenceKernel = (p, n) => {
  const [out, x] = p as Numbers[];
  const [M, N] = n;
  for (let j = 0; j < N; j++) {
    let sum = 0;
    for (let i = 0; i < M; i++) sum += x[i * N + j];
    out[j] = sum;
  }
};

/** y = silu(gate) up; without `up`, `gate` is [M,2F] and holds both halves. */
export const swiglu: ReferenceKernel = (p, n) => {
  const [y, gate, separateUp] = p as [Numbers, Numbers, Numbers | null];
  const [M, width] = n;
  const stride = separateUp ? width : 2 * width;
  const up = separateUp ?? gate.subarray(width);
  for (let i = 0; i < M; i++) {
    for (let j = 0; j < width; j++) y[i * width + j] = silu(gate[i * stride + j]) * up[i * stride + j];
  }
};

export const swiglu_backward: ReferenceKernel = (p, n) => {
  const [dgate, separateDup, gate, separateUp, dy] = p as [Numbers, Numbers | null, Numbers, Numbers | null, Numbers];
  const [M, width] = n;
  const stride = separateUp ? width : 2 * width;
  const up = separateUp ?? gate.subarray(width);
  const dup = separateDup ?? dgate.subarray(width);
  for (let i = 0; i < M; i++) {
    for (let j = 0; j < width; j++) {
      const at = i * stride + j;
      const d = dy[i * width + j];
      const u = up[at];
      const x = gate[at];
      dgate[at] = d * u * siluSlope(x);
      dup[at] = d * silu(x);
    }
  }
};

/** y = x sigmoid(gate). */
export const sigmoid_gate: ReferenceKernel = (p, n) => {
  const [y, x, gate] = p as Numbers[];
  for (let i = 0; i < n[0]; i++) y[i] = x[i] * sigmoid(gate[i]);
};

export const sigmoid_gate_backward: ReferenceKernel = (p, n) => {
  const [dx, dgate, x, gate, dy] = p as Numbers[];
  for (let i = 0; i < n[0]; i++) {
    dx[i] = dy[i] * sigmoid(gate[i]);
    dgate[i] = dy[i] * x[i] * sigmoidSlope(gate[i]);
  }
};
