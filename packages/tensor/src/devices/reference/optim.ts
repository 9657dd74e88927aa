/** @file Reference reductions and AdamW (Loshchilov and Hutter 2019). */
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
