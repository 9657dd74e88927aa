/**
 * @file What the chain does to weights: u16 rounding on the way in, fractions on the way out, and incentive.
 *
 * In: value_j = round(65535 * w_j / max(w)), so the largest is 65535 (subtensor's max upscale).
 * Out: w_j = value_j / sum(values).
 * Incentive: I_j = sum_i S_i W_ij / sum_i S_i over permitted validators that have set weights, W_ij the fractions.
 * This is a plain stake-weighted average. Yuma consensus (median clipping at kappa, bonds, dividends) is left out for now.
 */

export const U16_MAX = 65535;

/** @param weights finite, >= 0, at least one above zero */
export function upscaleToU16(weights: readonly number[]): number[] {
  const max = Math.max(...weights);
  return weights.map((w) => Math.round((w / max) * U16_MAX));
}

/** @param values u16, at least one above zero */
export function fractions(values: readonly number[]): number[] {
  const total = values.reduce((sum, v) => sum + v, 0);
  return values.map((v) => v / total);
}

/** @returns incentive by uid, `size` entries. Rows without stake do not count. */
export function stakeWeightedIncentive(
  rows: readonly { stake: number; weights: readonly { uid: number; weight: number }[] }[],
  size: number,
): number[] {
  const incentive = new Array<number>(size).fill(0);
  const total = rows.reduce((sum, row) => sum + row.stake, 0);
  if (total <= 0) return incentive;
  for (const row of rows) {
    for (const { uid, weight } of row.weights) incentive[uid] = (incentive[uid] ?? 0) + (row.stake / total) * weight;
  }
  return incentive;
}
