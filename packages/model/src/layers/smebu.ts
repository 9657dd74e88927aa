/**
 * @file SMEBU: soft-clamped momentum updates of the expert bias, once per optimizer step, outside the gradient.
 * Source: architecture §3.9.3 (Trinity report). Loads below the mean raise an expert's bias, loads above lower it.
 */
export interface SmebuSettings {
  kappa: number;
  lambda: number;
  beta: number;
}

/**
 * Updates bias and momentum [layers · X] in place from the token counts of the step, and the running worst overload
 * per layer. Evaluation never calls this.
 */
export function smebuUpdate(
  bias: Float32Array,
  momentum: Float32Array,
  maxVio: Float32Array,
  counts: readonly ArrayLike<number>[],
  s: SmebuSettings,
): void {
  counts.forEach((n, layer) => {
    const X = n.length;
    const at = layer * X;
    const mean = sum(n) / X;
    const violation = Array.from(n, (count) => (mean - count) / (mean + 1e-6));
    const delta = violation.map((v) => s.lambda * Math.tanh(s.kappa * v));
    const deltaMean = sum(delta) / X;
    for (let e = 0; e < X; e++) {
      momentum[at + e] = s.beta * (momentum[at + e] as number) + (1 - s.beta) * ((delta[e] as number) - deltaMean);
      const b = (bias[at + e] as number) + (momentum[at + e] as number);
      bias[at + e] = Number.isFinite(b) ? Math.min(10, Math.max(-10, b)) : 0;
    }
    const biasMean = sum(bias.subarray(at, at + X)) / X;
    for (let e = 0; e < X; e++) bias[at + e] = (bias[at + e] as number) - biasMean;
    maxVio[layer] = 0.99 * (maxVio[layer] as number) + 0.01 * -Math.min(...violation);
  });
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] as number;
  return total;
}
