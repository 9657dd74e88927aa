/**
 * @file What a duel can see: the probability that a challenger with a given true advantage wins gate 1.
 *
 * By formula for the last look, with the spread of deltas taken as known (z test):
 *
 *     P(win) = Phi((effect - minDelta) sqrt(n) / sd - z)
 *
 * and by simulation of whole duels, early stopping included, that draw their deltas from measured ones.
 */
import { Rng } from '@quasar/base';
import { mean } from './divergence.ts';
import { normalUpperTail, normalUpperTailInverse } from './normal.ts';
import type { PairedRules } from './paired.ts';
import { criticalZ, type SequentialRules, type SequentialVerdict, sequentialVerdict } from './sequential.ts';

export interface PowerQuestion {
  /** Prompts of the duel. */
  n: number;
  /** True mean delta, nats per token. */
  effect: number;
  /** Standard deviation of one prompt's delta. */
  sd: number;
  rules: PairedRules;
}

/** Probability of winning the paired test over n prompts; 0 below `minPrompts`. */
export function power({ n, effect, sd, rules }: PowerQuestion): number {
  if (n < rules.minPrompts) return 0;
  const gain = effect - rules.minDelta;
  if (sd === 0) return gain > 0 ? 1 : 0;
  return normalUpperTail(criticalZ(rules) - (gain * Math.sqrt(n)) / sd);
}

/** The true mean delta that is found with this probability, nats per token. */
export function detectableEffect({
  n,
  sd,
  rules,
  probability = 0.8,
}: Omit<PowerQuestion, 'effect'> & { probability?: number }): number {
  return rules.minDelta + ((criticalZ(rules) - normalUpperTailInverse(probability)) * sd) / Math.sqrt(n);
}

/** Prompts after which this true mean delta is found with this probability; Infinity for one within the margin. */
export function promptsNeeded({
  effect,
  sd,
  rules,
  probability = 0.8,
}: Omit<PowerQuestion, 'n'> & { probability?: number }): number {
  const gain = effect - rules.minDelta;
  if (gain <= 0) return Infinity;
  const steps = ((criticalZ(rules) - normalUpperTailInverse(probability)) * sd) / gain;
  return Math.max(rules.minPrompts, Math.ceil(steps * steps));
}

export interface SimulatedDuels {
  duels: number;
  /** Shares of all duels. */
  wins: number;
  earlyWins: number;
  futile: number;
  /** Mean prompts until the verdict. */
  meanPrompts: number;
}

/**
 * Duels whose deltas `draw` makes, judged as the contest judges them.
 * @param draw fills the deltas of one duel
 */
export function simulateDuels(options: {
  duels: number;
  seed: string;
  rules: SequentialRules;
  draw: (deltas: Float64Array, rng: Rng) => void;
}): SimulatedDuels {
  const { duels, seed, rules, draw } = options;
  const rng = new Rng(`duels/${seed}`);
  const deltas = new Float64Array(rules.prompts);
  const counts = { win: 0, early: 0, futile: 0, prompts: 0 };
  for (let duel = 0; duel < duels; duel++) {
    draw(deltas, rng);
    const { decided, reason, atN }: SequentialVerdict = sequentialVerdict(deltas, rules);
    counts.prompts += atN;
    if (decided === 'win') counts.win++;
    if (reason === 'win') counts.early++;
    if (reason === 'futility') counts.futile++;
  }
  return {
    duels,
    ...{ wins: counts.win / duels, earlyWins: counts.early / duels, futile: counts.futile / duels },
    meanPrompts: counts.prompts / duels,
  };
}

/** Draws from measured deltas with replacement, moved so that their mean is `effect`. */
export function resampled(measured: ArrayLike<number>, effect: number): (deltas: Float64Array, rng: Rng) => void {
  const shift = effect - mean(measured);
  const n = measured.length;
  return (deltas, rng) => {
    for (let i = 0; i < deltas.length; i++) deltas[i] = measured[rng.uint32() % n]! + shift;
  };
}
