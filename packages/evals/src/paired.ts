/**
 * @file The paired test of a duel: is the challenger closer to the teacher than the king, on the same tokens?
 *
 *     delta_i = king_i - challenger_i      SE = sd(n-1) / sqrt(n)      t = mean / SE      p = P(Z > t)
 *     lcb = mean - 1.96 SE
 *
 * A win needs n >= 100, p < 0.03, mean > minDelta and lcb > minDelta. With the normal CDF p < 0.03 is t > 1.881,
 * so the lcb binds (effective one-sided level 0.025); both stay, as upstream states them. A bootstrap interval
 * with a fixed seed is evidence beside the verdict, never part of it. Source: subnet.md section 11.
 */
import { QuasarError, Rng } from '@quasar/base';
import { mean } from './divergence.ts';
import { normalTwoSided, normalUpperTail } from './normal.ts';

export interface PairedRules {
  /** Fewer common prompts than this never dethrone. */
  minPrompts: number;
  /** One-sided level. */
  alpha: number;
  /** Standard errors below the mean for the lower confidence bound. */
  confidenceZ: number;
  /** Margin in nats that mean and lcb must exceed. */
  minDelta: number;
}

export const UPSTREAM_PAIRED_RULES: PairedRules = { minPrompts: 100, alpha: 0.03, confidenceZ: 1.96, minDelta: 0 };

export interface PairedTest {
  n: number;
  /** Nats; positive when the challenger is closer to the teacher. */
  meanDelta: number;
  se: number;
  /** Infinite when all deltas are equal and not zero. */
  t: number;
  /** One-sided. */
  p: number;
  lcb: number;
  /** The statistics alone, before the `minPrompts` rule. */
  significant: boolean;
  win: boolean;
}

/** Test a list of deltas. An empty list or one with a non-finite value never wins. */
export function testDeltas(deltas: ArrayLike<number>, rules: PairedRules = UPSTREAM_PAIRED_RULES): PairedTest {
  const n = deltas.length;
  const meanDelta = mean(deltas);
  const se = standardError(deltas, meanDelta);
  const t = se > 0 ? meanDelta / se : meanDelta === 0 ? 0 : meanDelta * Infinity;
  // Without variance there is nothing to estimate: the sign decides, and no difference is no evidence.
  const p = se > 0 ? normalUpperTail(t) : meanDelta > 0 ? 0 : 1;
  const lcb = meanDelta - rules.confidenceZ * se;
  const significant = p < rules.alpha && meanDelta > rules.minDelta && lcb > rules.minDelta;
  return { n, meanDelta, se, t, p, lcb, significant, win: significant && n >= rules.minPrompts };
}

/**
 * Test two lists of per-prompt KL, paired by index.
 * @throws QuasarError `evals.unpaired` when the lengths differ: a duel on different prompts is not a duel
 */
export function pairedTest(
  kingKl: ArrayLike<number>,
  challengerKl: ArrayLike<number>,
  rules: PairedRules = UPSTREAM_PAIRED_RULES,
): PairedTest {
  return testDeltas(pairedDeltas(kingKl, challengerKl), rules);
}

/** delta_i = king_i - challenger_i. */
export function pairedDeltas(kingKl: ArrayLike<number>, challengerKl: ArrayLike<number>): Float64Array {
  if (kingKl.length !== challengerKl.length)
    throw new QuasarError(
      'evals.unpaired',
      `paired test: the king has ${kingKl.length} prompts, the challenger ${challengerKl.length}`,
      { hint: 'Score both models on the same traces.' },
    );
  return Float64Array.from(kingKl, (value, i) => value - challengerKl[i]!);
}

/**
 * Two challengers are tied unless a two-sided test tells them apart by more than the margin; too few prompts tell nothing.
 * Without a margin a copy with noise can be told from its original: the same model hardly differs, and does so on every prompt.
 */
export function areTied(
  aKl: ArrayLike<number>,
  bKl: ArrayLike<number>,
  rules: PairedRules = UPSTREAM_PAIRED_RULES,
): boolean {
  if (aKl.length < rules.minPrompts) return true;
  const { meanDelta, se } = pairedTest(aKl, bKl, rules);
  const beyond = Math.max(0, Math.abs(meanDelta) - rules.minDelta);
  return se > 0 ? normalTwoSided(beyond / se) > rules.alpha : beyond === 0;
}

export interface BootstrapInterval {
  low: number;
  high: number;
  resamples: number;
  seed: string;
}

/**
 * Percentile bootstrap interval of the mean delta. Same deltas and seed, same interval, on any machine.
 * @param level two-sided coverage, 0.95 by default
 */
export function bootstrapInterval(
  deltas: ArrayLike<number>,
  options: { resamples?: number; seed?: string; level?: number } = {},
): BootstrapInterval {
  const { resamples = 2000, seed = '0xB007', level = 0.95 } = options;
  const rng = new Rng(`bootstrap/${seed}`);
  const n = deltas.length;
  const means = new Float64Array(resamples);
  for (let b = 0; b < resamples; b++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += deltas[rng.uint32() % n]!;
    means[b] = sum / n;
  }
  means.sort();
  const at = (quantile: number) => means[Math.min(resamples - 1, Math.floor(quantile * resamples))]!;
  return { low: at((1 - level) / 2), high: at((1 + level) / 2), resamples, seed };
}

function standardError(values: ArrayLike<number>, meanValue: number): number {
  const n = values.length;
  if (n < 2) return 0;
  let squares = 0;
  let allEqual = true;
  for (let i = 0; i < n; i++) {
    squares += (values[i]! - meanValue) ** 2;
    if (values[i] !== values[0]) allEqual = false;
  }
  // The mean of equal values is off by rounding dust; a test on that dust would mean nothing.
  return allEqual ? 0 : Math.sqrt(squares / (n - 1) / n);
}
