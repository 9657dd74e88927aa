/** @file Consensus: the stake-weighted median of every column of weights. */
import type { Fixed } from './fixed.ts';
import { type Matrix, normalize, sum, type Vector } from './matrix.ts';

/**
 * C_j: the largest weight that validators with at least `kappa` of the stake give j or more. Rows without stake do not count.
 *
 * With stake renormalised over the rows that have some, and minority = sum(stake) - kappa: the smallest score whose stake
 * at and below it exceeds the minority, or the largest score if none does. That depends on scores and stakes only, since
 * sums are exact; so it is found by partitioning around any pivot, in linear time for all but contrived columns.
 */
export function consensusOf(stake: Vector, weights: Matrix, kappa: Fixed): Vector {
  const n = stake.length;
  const rows = Array.from(stake.keys()).filter((i) => (stake[i] as number) > 0);
  const use = normalize(Float64Array.from(rows, (i) => stake[i] as number));
  const minority = sum(use) - kappa;
  const scores = new Float64Array(rows.length);
  return Float64Array.from({ length: n }, (_, j) => {
    for (let k = 0; k < rows.length; k++) scores[k] = weights[(rows[k] as number) * n + j] as number;
    return weightedMedian(scores, use, minority);
  });
}

/** The smallest score with stake(scores <= it) > minority, else the largest; 0 without scores. `stake` is positive. */
export function weightedMedian(scores: Vector, stake: Vector, minority: Fixed): Fixed {
  let candidates = Array.from(scores.keys());
  let below = 0;
  let median = 0;
  while (candidates.length > 0) {
    median = scores[candidates[candidates.length >> 1] as number] as number;
    const [lower, upper]: [number[], number[]] = [[], []];
    let [stakeLower, stakeEqual] = [0, 0];
    for (const k of candidates) {
      const score = scores[k] as number;
      if (score < median) {
        lower.push(k);
        stakeLower += stake[k] as number;
      } else if (score > median) upper.push(k);
      else stakeEqual += stake[k] as number;
    }
    if (minority < below + stakeLower && lower.length > 0) candidates = lower;
    else if (minority >= below + stakeLower + stakeEqual && upper.length > 0) {
      candidates = upper;
      below += stakeLower + stakeEqual;
    } else break;
  }
  return median;
}
