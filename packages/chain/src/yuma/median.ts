/** @file Consensus: the stake-weighted median of every column of weights. */
import type { Fixed } from './fixed.ts';
import { type Matrix, normalize, sum, type Vector } from './matrix.ts';

/**
 * C_j: the largest weight that validators with at least `kappa` of the stake give j or more. Rows without stake do not count.
 *
 * With stake renormalised over the rows that have some, and minority = sum(stake) - kappa: the smallest score whose stake
 * at and below it exceeds the minority, or the largest score if none does. The runtime partitions around pivots; sums are
 * exact, so that finds the same.
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

/** Scores in [0, 1] and indices below this share one double, so that a plain sort brings both into order. */
const INDICES = 2 ** 16;

/** The smallest score with stake(scores <= it) > minority, else the largest; 0 without scores. */
export function weightedMedian(scores: Vector, stake: Vector, minority: Fixed): Fixed {
  const sorted = new Float64Array(scores.length);
  for (let k = 0; k < scores.length; k++) sorted[k] = (scores[k] as number) * INDICES + k;
  sorted.sort();
  let [reached, score] = [0, 0];
  for (let at = 0; at < sorted.length; at++) {
    const both = sorted[at] as number;
    score = Math.floor(both / INDICES);
    reached += stake[both - score * INDICES] as number;
    if (reached > minority) break;
  }
  return score;
}
