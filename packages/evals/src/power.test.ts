import { Rng } from '@quasar/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UPSTREAM_PAIRED_RULES as rules } from './paired.ts';
import { detectableEffect, power, promptsNeeded, resampled, simulateDuels } from './power.ts';

const sequential = {
  lookEvery: 8,
  win: { alpha: 0.005, minPrompts: 150 },
  futility: { minProbability: 0.005, minPrompts: 40, skipAxes: false },
};

describe('power', () => {
  it('is the level without an effect, a half at the critical effect, and 80 % at 2.8 standard errors', () => {
    const n = 300;
    const se = 1 / Math.sqrt(n);
    expect(power({ n, effect: 0, sd: 1, rules })).toBeCloseTo(0.024998, 6);
    expect(power({ n, effect: 1.96 * se, sd: 1, rules })).toBeCloseTo(0.5, 12);
    expect(power({ n, effect: 2.8016212 * se, sd: 1, rules })).toBeCloseTo(0.8, 7);
  });

  it('is nothing with too few prompts, and certain without spread', () => {
    expect(power({ n: 99, effect: 9, sd: 1, rules })).toBe(0);
    expect(power({ n: 100, effect: 0.1, sd: 0, rules })).toBe(1);
    expect(power({ n: 100, effect: 0, sd: 0, rules })).toBe(0);
  });

  it('effect and prompts are its inverses', () => {
    const positive = fc.double({ min: 0.01, max: 1, noNaN: true });
    fc.assert(
      fc.property(positive, fc.integer({ min: 100, max: 5000 }), (sd, n) => {
        const effect = detectableEffect({ n, sd, rules });
        expect(power({ n, effect, sd, rules })).toBeCloseTo(0.8, 9);
        const needed = promptsNeeded({ effect, sd, rules });
        expect(Math.abs(needed - n)).toBeLessThanOrEqual(1);
      }),
    );
    expect(promptsNeeded({ effect: 0.001, sd: 1, rules: { ...rules, minDelta: 0.001 } })).toBe(Infinity);
    expect(promptsNeeded({ effect: 9, sd: 1, rules })).toBe(100);
  });
});

describe('simulateDuels', () => {
  const normal = (effect: number) => (deltas: Float64Array, rng: Rng) => {
    for (let i = 0; i < deltas.length; i++) deltas[i] = effect + rng.normal();
  };
  const run = (effect: number, more = {}) =>
    simulateDuels({
      duels: 1000,
      seed: 's',
      rules: { ...rules, prompts: 300, sequential, ...more },
      draw: normal(effect),
    });

  it('agrees with the formula at the last look', () => {
    for (const effect of [0.08, 0.12, 0.16]) {
      const expected = power({ n: 300, effect, sd: 1, rules });
      // Four standard errors of a share of 1000.
      expect(Math.abs(run(effect, { sequential: null }).wins - expected)).toBeLessThan(4 * Math.sqrt(0.25 / 1000));
    }
  });

  it('early stopping saves prompts and loses next to no power', () => {
    const [looks, last] = [run(0.2), run(0.2, { sequential: null })];
    expect(last).toMatchObject({ earlyWins: 0, futile: 0, meanPrompts: 300 });
    expect(looks.meanPrompts).toBeLessThan(260);
    expect(looks.earlyWins).toBeGreaterThan(0.4);
    expect(looks.wins).toBeGreaterThan(last.wins - 0.03);
  });

  it('draws from what was measured, moved to the wanted mean, the same for one seed', () => {
    const deltas = new Float64Array(4000);
    resampled([1, 2, 6], 10)(deltas, new Rng('x'));
    expect(new Set(deltas)).toEqual(new Set([8, 9, 13]));
    expect(deltas.reduce((a, b) => a + b) / 4000).toBeCloseTo(10, 0);
    expect(run(0.1)).toEqual(run(0.1));
  });
});
