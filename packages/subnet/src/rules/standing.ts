/**
 * @file Whether a king still deserves its crown, when nobody challenges it: in a quiet round it is measured again, on the
 * fresh prompts and questions of that round's block.
 *
 * It has to hold what every challenger has to: the limits of its KL and the floor of its quality. But a quiet round asks
 * less than a duel, and nobody stands ready for the throne, so on any doubt the king stays: it falls only where chance
 * is ruled out at the confidence of the duel. Source: subnet.md sections 5, 6, 13 and 21 (row 5).
 */
import type { Issue } from '@quasar/base';
import { type AxisSpec, mean, pairedDeltas, type ScoredAxis, testDeltas } from '@quasar/evals';
import type { SubnetConfig } from './config.ts';
import { checkKlLimits } from './kl-limits.ts';

export interface RevalidationRules {
  /** The king is measured in quiet rounds whose number this divides: the same ones for every validator. */
  everyRounds: number;
  /** Prompts of such a measurement. */
  prompts: number;
}

/** What a quiet round has measured. */
export interface KingEvidence {
  /** Per prompt, nats. */
  kl: readonly number[];
  /** Of the base model on the same prompts. */
  baseKl: readonly number[];
  axes: Readonly<Record<string, ScoredAxis>>;
  quality: number;
}

/** Whether it is the turn of the king to be measured, should nobody challenge it. */
export function isKingsTurn(round: number, rules: RevalidationRules | null): boolean {
  return rules ? round % rules.everyRounds === 0 : false;
}

/** @returns why the king cannot stay, beyond doubt; null otherwise */
export function checkStanding(
  evidence: KingEvidence,
  specs: readonly AxisSpec[],
  { kl: limits, crown, duel }: Pick<SubnetConfig, 'kl' | 'crown' | 'duel'>,
): Issue | null {
  const { kl, baseKl, quality } = evidence;
  const issue = checkKlLimits(mean(kl), mean(baseKl), limits);
  const isAbove = (excess: readonly number[] | Float64Array) => testDeltas(excess, duel).lcb > 0;
  const beyondMax = () => isAbove(kl.map((one) => one - limits.maxKl));
  const allowed = baseKl.map((one) => one * limits.baseFactor);
  const beyondBase = () => isAbove(pairedDeltas(kl, allowed));
  if (issue && (issue.code !== 'eval.kl_above_threshold' || (beyondMax() && beyondBase()))) return issue;

  const { axes, items } = countedAxes(evidence.axes, specs);
  const atMost = upperBound(quality, items, duel.confidenceZ);
  if (axes < crown.minQualityAxes || atMost >= crown.qualityFloor) return null;
  return {
    code: 'eval.below_floor',
    message: `quality ${quality.toFixed(4)} over ${axes} axes, at most ${atMost.toFixed(4)}, is below the floor ${crown.qualityFloor}`,
    hint: 'The model answers hardly any question of the axes: `quasar axes` shows which.',
  };
}

/** The axes that count for quality, and how many equally weighted items would tell as much as theirs. */
export function countedAxes(
  axes: Readonly<Record<string, ScoredAxis>>,
  specs: readonly AxisSpec[],
): { axes: number; items: number } {
  const counted = specs.filter(({ name, weight, relative }) => weight > 0 && !relative && axes[name]?.broken === false);
  const weights = counted.reduce((sum, { weight }) => sum + weight, 0);
  const squares = counted.reduce((sum, { name, weight }) => sum + weight ** 2 / axes[name]!.n, 0);
  return { axes: counted.length, items: squares > 0 ? weights ** 2 / squares : 0 };
}

/**
 * Wilson's upper bound of a share of which `share` was seen in n items; values between 0 and 1 vary no more than right and wrong do.
 * Wilson, Journal of the American Statistical Association 22 (1927).
 */
function upperBound(share: number, n: number, z: number): number {
  if (n === 0) return 1;
  const spread = z * Math.sqrt((share * (1 - share)) / n + z ** 2 / (4 * n ** 2));
  return (share + z ** 2 / (2 * n) + spread) / (1 + z ** 2 / n);
}
