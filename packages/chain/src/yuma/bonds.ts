/**
 * @file Bonds: the memory of who backed whom early, and the dividends it pays.
 *
 * Both versions move towards the present weights by alpha each epoch. Yuma 2 weighs the new part by stake and stores each
 * column scaled so that its largest entry is 1; Yuma 3 averages the weights themselves, stores them as they are, and
 * multiplies by stake when it pays.
 */
import { div, type Fixed, fromU16, mul, ONE } from './fixed.ts';
import {
  dense,
  type Matrix,
  normalize,
  normalizeColumns,
  type SparseRow,
  scaleRows,
  upscaleColumns,
  type Vector,
  weightedRowSums,
} from './matrix.ts';

export interface BondsInput {
  version: 2 | 3;
  /** Weights after the bonds penalty. */
  weights: Matrix;
  /** Of validators that are active and permitted. */
  stake: Vector;
  incentive: Vector;
  /** As stored: u16 rows. */
  stored: readonly SparseRow[];
  registeredAt: readonly number[];
  /** First block after the last epoch; bonds to uids registered since are forgotten. */
  epochStart: number;
  /** Share of the old bonds that stays, per million. */
  movingAverage: number;
}

/** @returns bonds in [0, 1] as they are stored, and dividends that sum to 1 or are all 0 */
export function moveBonds(input: BondsInput): { bonds: Matrix; dividends: Vector } {
  const { stake, incentive, weights } = input;
  const n = stake.length;
  const alpha = ONE - div(input.movingAverage, 1_000_000);
  const { epochStart, registeredAt } = input;
  const stored = dense(
    input.stored,
    registeredAt,
    registeredAt.map(() => epochStart),
  );
  if (input.version === 3) {
    const bonds = movingAverage(weights, stored.map(fromU16), alpha);
    const totals = weightedRowSums(normalizeColumns(bonds.slice(), n), incentive);
    return { bonds, dividends: normalize(totals.map((total, i) => mul(stake[i] as number, total))) };
  }
  const delta = normalizeColumns(scaleRows(weights, stake), n);
  const bonds = normalizeColumns(movingAverage(delta, normalizeColumns(stored, n), alpha), n);
  const dividends = normalize(weightedRowSums(bonds, incentive));
  return { bonds: upscaleColumns(bonds, n), dividends };
}

/** alpha * now + (1 - alpha) * before */
function movingAverage(now: Matrix, before: Matrix, alpha: Fixed): Matrix {
  const average = new Float64Array(now.length);
  for (let at = 0; at < now.length; at++) {
    average[at] = mul(alpha, now[at] as number) + mul(ONE - alpha, before[at] as number);
  }
  return average;
}
