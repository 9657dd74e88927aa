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
  const rows = Uint16Array.from(stake.keys()).filter((i) => (stake[i] as number) > 0);
  const use = normalize(Float64Array.from(rows, (i) => stake[i] as number));
  const minority = sum(use) - kappa;
  const scores = new Float64Array(rows.length);
  const consensus = new Float64Array(n);
  for (let j = 0; j < n; j++) {
    for (let k = 0; k < rows.length; k++) scores[k] = weights[(rows[k] as number) * n + j] as number;
    consensus[j] = weightedMedian(scores, use, minority);
  }
  return consensus;
}

/** The smallest score with stake(scores <= it) > minority, else the largest; 0 without scores. `stake` is positive. */
export function weightedMedian(scores: Vector, stake: Vector, minority: Fixed): Fixed {
  const order = Uint16Array.from(scores.keys());
  let [from, to] = [0, order.length];
  let below = 0;
  let median = 0;
  while (from < to) {
    median = scores[order[(from + to) >> 1] as number] as number;
    let [lower, next, upper] = [from, from, to];
    let [stakeLower, stakeEqual] = [0, 0];
    while (next < upper) {
      const k = order[next] as number;
      const score = scores[k] as number;
      if (score > median) {
        order[next] = order[--upper] as number;
        order[upper] = k;
      } else {
        if (score < median) {
          stakeLower += stake[k] as number;
          order[next] = order[lower] as number;
          order[lower++] = k;
        } else stakeEqual += stake[k] as number;
        next++;
      }
    }
    if (minority < below + stakeLower && lower > from) to = lower;
    else if (minority >= below + stakeLower + stakeEqual && upper < to) {
      from = upper;
      below += stakeLower + stakeEqual;
    } else break;
  }
  return median;
}
