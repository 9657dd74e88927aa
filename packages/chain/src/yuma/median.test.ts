/** @file The weighted median against its definition. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ONE } from './fixed.ts';
import { weightedMedian } from './median.ts';

describe('the weighted median', () => {
  it('is the smallest score whose stake at and below it exceeds the minority, else the largest', () => {
    const voter = fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 1, max: ONE }));
    const minorities = fc.oneof(fc.integer({ min: -1, max: 40 * ONE }), fc.nat(40));
    fc.assert(
      fc.property(fc.array(voter, { maxLength: 40 }), minorities, (voters, minority) => {
        const scores = Float64Array.from(voters, ([score]) => score);
        const stake = Float64Array.from(voters, ([, amount]) => amount);
        const sorted = [...new Set(scores)].sort((a, b) => a - b);
        const upTo = (top: number) => stake.reduce((sum, s, k) => sum + ((scores[k] as number) <= top ? s : 0), 0);
        // A small whole number stands for exactly the stake up to that score: a tie.
        const limit = minority <= 40 && sorted.includes(minority) ? upTo(minority) : minority;
        const expected = sorted.find((score) => upTo(score) > limit) ?? sorted.at(-1) ?? 0;
        expect(weightedMedian(scores, stake, limit)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});
