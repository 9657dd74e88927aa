/** @file How far apart two models' words are, from the few that a fingerprint keeps of each. */
import { Rng } from '@quasar/base';
import { describe, expect, it } from 'vitest';
import { behaviourDivergence } from './distances.ts';
import { BEHAVIOUR_POSITIONS, BEHAVIOUR_TOP, type Fingerprint } from './fingerprint.ts';
import { packIds, packProbabilities } from './packed.ts';

/** The top of a distribution, the same at every position. */
function said(distribution: readonly number[]): Fingerprint {
  const top = distribution
    .map((p, id) => ({ p, id }))
    .sort((a, b) => b.p - a.p)
    .slice(0, BEHAVIOUR_TOP);
  const everywhere = Array.from({ length: BEHAVIOUR_POSITIONS }, () => top).flat();
  const behaviour = {
    ids: packIds(everywhere.map(({ id }) => id)),
    probabilities: packProbabilities(everywhere.map(({ p }) => p)),
  };
  return { readings: [], activations: [], behaviour };
}

function softmax(logits: readonly number[]): number[] {
  const powers = logits.map(Math.exp);
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function divergence(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, p, i) => {
    const [q, m] = [b[i]!, (p + b[i]!) / 2];
    return sum + (p > 0 ? (p / 2) * Math.log(p / m) : 0) + (q > 0 ? (q / 2) * Math.log(q / m) : 0);
  }, 0);
}

describe('behaviourDivergence', () => {
  const rng = new Rng('words');
  const logits = Array.from({ length: 272 }, () => 3 * rng.normal());

  it('is zero for the same words', () => {
    expect(behaviourDivergence(said(softmax(logits)), said(softmax(logits)))).toBe(0);
  });

  it('models that have no word in common are as far apart as can be', () => {
    const opposite = logits.map((value) => -20 * value);
    const seen = behaviourDivergence(said(softmax(logits)), said(softmax(opposite)));
    expect(seen).toBeGreaterThan(0.5);
    expect(seen).toBeLessThanOrEqual(Math.LN2);
  });

  it.each([0.01, 0.1, 1, 10])('with logits changed by %f is not above that of the whole distributions', (size) => {
    for (let trial = 0; trial < 20; trial++) {
      const [a, b] = [softmax(logits), softmax(logits.map((value) => value + size * rng.normal()))];
      const [seen, whole] = [behaviourDivergence(said(a), said(b)), divergence(a, b)];
      expect(seen).toBeLessThanOrEqual(whole + 1e-4); // probabilities are kept in 16 bits
      expect(seen).toBeGreaterThan(whole / 2 - 1e-4);
    }
  });
});
