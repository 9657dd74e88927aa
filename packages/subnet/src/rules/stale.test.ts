import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isVisited, nextVisit, pauseRounds } from './stale.ts';

const rules = { failedVisits: 3, longestPauseRounds: 16 };

it('every round, then every second, fourth, ... sixteenth', () => {
  expect([0, 1, 2, 3, 4, 5, 6, 7, 99].map((visits) => pauseRounds(visits, rules))).toEqual([
    ...[1, 1, 1, 2, 4, 8, 16, 16, 16],
  ]);
  const rounds = Array.from({ length: 40 }, (_, i) => 7 + i);
  expect(rounds.filter((round) => isVisited(5, round, 7, rules))).toEqual([7, 15, 23, 31, 39]);
});

it('property: who counted more visits asks in rounds in which all ask, and the next one is the one foretold', () => {
  const visits = fc.integer({ min: 0, max: 50 });
  const round = fc.integer({ min: 100, max: 100_000 });
  fc.assert(
    fc.property(visits, visits, round, fc.integer({ min: 0, max: 100 }), (a, b, now, first) => {
      if (isVisited(Math.max(a, b), now, first, rules)) expect(isVisited(Math.min(a, b), now, first, rules)).toBe(true);
      const next = nextVisit(a, now, first, rules);
      expect(next).toBeGreaterThan(now);
      expect(next - now).toBeLessThanOrEqual(16);
      expect(isVisited(a, next, first, rules)).toBe(true);
    }),
  );
});
