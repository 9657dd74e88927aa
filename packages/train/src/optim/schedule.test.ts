/** @file The learning rate over a run. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { learningRate } from './schedule.ts';

const rates = (schedule: Parameters<typeof learningRate>[0]) =>
  Array.from({ length: schedule.steps }, (_, step) => learningRate(schedule, step));

it('rises, stays, falls to nothing', () => {
  const schedule = { learningRate: 1, warmupSteps: 4, steps: 10, schedule: 'wsd', decayShare: 0.4 } as const;
  expect(rates(schedule)).toEqual([0.25, 0.5, 0.75, 1, 1, 1, 1, 0.75, 0.5, 0.25]);
  expect(learningRate(schedule, 10)).toBe(0);
  expect(learningRate(schedule, 11)).toBe(0);
});

it('without warm-up and decay it stays', () => {
  expect(rates({ learningRate: 3, warmupSteps: 0, steps: 4, schedule: 'wsd', decayShare: 0 })).toEqual([3, 3, 3, 3]);
});

it('a run shorter than its warm-up still ends low', () => {
  expect(rates({ learningRate: 1, warmupSteps: 10, steps: 4, schedule: 'wsd', decayShare: 1 })).toEqual([
    0.1, 0.2, 0.3, 0.25,
  ]);
});

it('a cosine falls slowly, fast, slowly', () => {
  const found = rates({ learningRate: 2, warmupSteps: 2, steps: 6, schedule: 'cosine', decayShare: 0.4 });
  const cosine = (share: number) => 1 + Math.cos(Math.PI * share);
  expect(found).toEqual([1, 2, 2, cosine(0.25), cosine(0.5), cosine(0.75)]);
});

it('is positive during the run, never above the peak, and rises only before it falls', () => {
  const schedule = fc.record({
    schedule: fc.constantFrom('wsd' as const, 'cosine' as const),
    learningRate: fc.double({ min: 1e-6, max: 1, noNaN: true }),
    warmupSteps: fc.nat(50),
    steps: fc.integer({ min: 1, max: 100 }),
    decayShare: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(schedule, (s) => {
      const all = rates(s);
      for (const rate of all) {
        expect(rate).toBeGreaterThan(0);
        expect(rate).toBeLessThanOrEqual(s.learningRate);
      }
      const top = all.indexOf(Math.max(...all));
      for (let i = 1; i < all.length; i++) {
        const change = (all[i] as number) - (all[i - 1] as number);
        if (i <= top) expect(change).toBeGreaterThanOrEqual(0);
        else expect(change).toBeLessThanOrEqual(0);
      }
    }),
  );
});
