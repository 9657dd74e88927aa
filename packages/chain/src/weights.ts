/**
 * @file What the chain does to weights: u16 rounding on the way in, fractions on the way out.
 *
 * In: value_j = round(65535 * w_j / max(w)), so the largest is 65535 (subtensor's max upscale).
 * Out: w_j = value_j / sum(values).
 */

export const U16_MAX = 65535;

/** @param weights finite, >= 0, at least one above zero */
export function upscaleToU16(weights: readonly number[]): number[] {
  const max = Math.max(...weights);
  return weights.map((w) => Math.round((w / max) * U16_MAX));
}

/** The same for u16 values; all zero stay so. */
export function upscaleU16(values: readonly number[]): number[] {
  return values.some((value) => value > 0) ? upscaleToU16(values) : [...values];
}

/** @param values u16; all zero gives zeros */
export function fractions(values: readonly number[]): number[] {
  const total = values.reduce((sum, v) => sum + v, 0);
  return values.map((v) => (total === 0 ? 0 : v / total));
}
