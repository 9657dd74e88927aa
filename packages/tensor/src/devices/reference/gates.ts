/** @file Reference gates of delta rules: the exact write gate of Quasar attention, the one of Quasar-Preview, log decays. */
import { sigmoid, sigmoidSlope, softplus } from './scalar.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

/** phi(beta, lambda) = (1 - e^(-beta lambda)) / lambda, beta where lambda is 0. */
function phi(beta: number, lambda: number): number {
  return lambda === 0 ? beta : -Math.expm1(-beta * lambda) / lambda;
}

/** d phi / d lambda = (beta e^(-x) - phi) / lambda with x = beta lambda; its series where the difference cancels. */
function phiSlope(beta: number, lambda: number): number {
  const x = beta * lambda;
  if (x < 1e-2) return -(beta ** 2) * (1 / 2 - x / 3 + x ** 2 / 8 - x ** 3 / 30 + x ** 4 / 144 - x ** 5 / 840);
  return (beta * Math.exp(-x) - phi(beta, lambda)) / lambda;
}

function squaredLength(k: Numbers, i: number, E: number): number {
  let sum = 0;
  for (let j = i * E; j < (i + 1) * E; j++) sum += k[j] ** 2;
  return sum;
}

const clamp = (x: number, low: number, high: number) => Math.min(high, Math.max(low, x));

/** alpha = (1 - e^(-beta lambda)) / (lambda + eps), beta = softplus(z) or sigmoid(z), lambda = max(|k|^2, floor) + rate. */
export const exact_gate: ReferenceKernel = (p, n) => {
  const [alpha, z, k, rate] = p as [Numbers, Numbers, Numbers, Numbers | null];
  const [rows, E, isSigmoid = 0, eps = 0, floor = 0] = n;
  for (let i = 0; i < rows; i++) {
    const lambda = Math.max(floor, squaredLength(k, i, E)) + (rate?.[i] ?? 0);
    const share = eps > 0 ? lambda / (lambda + eps) : 1;
    alpha[i] = share * phi(isSigmoid ? sigmoid(z[i]) : softplus(z[i]), lambda);
  }
};

export const exact_gate_backward: ReferenceKernel = (p, n) => {
  const [dz, dk, drate, z, k, rate, dalpha] = p as [
    Numbers,
    Numbers,
    Numbers | null,
    Numbers,
    Numbers,
    Numbers | null,
    Numbers,
  ];
  const [rows, E, isSigmoid = 0, eps = 0, floor = 0] = n;
  for (let i = 0; i < rows; i++) {
    const square = squaredLength(k, i, E);
    const lambda = Math.max(floor, square) + (rate?.[i] ?? 0);
    const [beta, betaSlope] = isSigmoid ? [sigmoid(z[i]), sigmoidSlope(z[i])] : [softplus(z[i]), sigmoid(z[i])];
    const share = eps > 0 ? lambda / (lambda + eps) : 1;
    const shareSlope = eps > 0 ? eps / (lambda + eps) ** 2 : 0;
    const dlambda = dalpha[i] * (share * phiSlope(beta, lambda) + shareSlope * phi(beta, lambda));
    dz[i] = dalpha[i] * share * Math.exp(-beta * lambda) * betaSlope;
    if (drate) drate[i] = dlambda;
    for (let j = i * E; j < (i + 1) * E; j++) dk[j] = square >= floor ? 2 * dlambda * k[j] : 0;
  }
};

/** Bounds of Quasar-Preview's chunk form (architecture 3.5.8). */
const [PREVIEW_LENGTH, PREVIEW_ALPHA, PREVIEW_EPS] = [[0.1, 10], [1e-4, 0.95], 1e-6] as const;

/** Before it is clamped: mean over channels of 1 - e^(-e^A softplus(beta + dt)), over lambda + 1e-6. */
function previewAlpha(beta: number, lambda: number, rate: number, shifts: Numbers): number {
  let sum = 0;
  for (const shift of shifts) sum -= Math.expm1(-rate * softplus(beta + shift));
  return sum / shifts.length / (lambda + PREVIEW_EPS);
}

/** alpha of Quasar-Preview's chunk form: previewAlpha within [1e-4, 0.95], beta = sigmoid(z), |k|^2 within [0.1, 10]. */
export const preview_gate: ReferenceKernel = (p, n) => {
  const [alpha, z, k, logRate, shift] = p as Numbers[];
  const [rows, H, E] = n;
  for (let i = 0; i < rows * H; i++) {
    const h = i % H;
    const lambda = clamp(squaredLength(k, i, E), ...PREVIEW_LENGTH);
    const shifts = shift.subarray(h * E, (h + 1) * E);
    alpha[i] = clamp(previewAlpha(sigmoid(z[i]), lambda, Math.exp(logRate[h]), shifts), ...PREVIEW_ALPHA);
  }
};

/** Gradients of A_log and dt_bias come per row. */
export const preview_gate_backward: ReferenceKernel = (p, n) => {
  const [dz, dk, dLogRate, dShift, z, k, logRate, shift, dalpha] = p as Numbers[];
  const [rows, H, E] = n;
  const within = (x: number, [low, high]: readonly [number, number]) => (x >= low && x <= high ? 1 : 0);
  for (let i = 0; i < rows * H; i++) {
    const h = i % H;
    const square = squaredLength(k, i, E);
    const lambda = clamp(square, ...PREVIEW_LENGTH);
    const [beta, rate] = [sigmoid(z[i]), Math.exp(logRate[h])];
    const shifts = shift.subarray(h * E, (h + 1) * E);
    const alpha = previewAlpha(beta, lambda, rate, shifts);
    const d = (dalpha[i] * within(alpha, PREVIEW_ALPHA)) / (lambda + PREVIEW_EPS);
    let [dBeta, dRate] = [0, 0];
    for (let c = 0; c < E; c++) {
      const x = beta + shifts[c];
      const slope = (d / E) * Math.exp(-rate * softplus(x));
      dShift[i * E + c] = slope * rate * sigmoid(x);
      dBeta += slope * rate * sigmoid(x);
      dRate += slope * softplus(x) * rate;
      dk[i * E + c] = -2 * d * alpha * within(square, PREVIEW_LENGTH) * k[i * E + c];
    }
    dz[i] = dBeta * sigmoidSlope(z[i]);
    dLogRate[i] = dRate;
  }
};

/** g = −e^A softplus(z + dt), one rate A per head, one dt per channel. */
export const decay_gate: ReferenceKernel = (p, n) => {
  const [g, z, rate, shift] = p as Numbers[];
  const [rows, H, E] = n;
  for (let i = 0; i < rows * H * E; i++) {
    const c = i % (H * E);
    g[i] = -Math.exp(rate[Math.floor(c / E)]) * softplus(z[i] + shift[c]);
  }
};

/** dA per row and head. */
export const decay_gate_backward: ReferenceKernel = (p, n) => {
  const [dz, dRate, z, rate, shift, dg] = p as Numbers[];
  const [rows, H, E] = n;
  for (let i = 0; i < rows * H; i++) {
    const h = i % H;
    const factor = -Math.exp(rate[h]);
    let sum = 0;
    for (let e = 0; e < E; e++) {
      const x = z[i * E + e] + shift[h * E + e];
      dz[i * E + e] = dg[i * E + e] * factor * sigmoid(x);
      sum += dg[i * E + e] * factor * softplus(x);
    }
    dRate[i] = sum;
  }
};
