/** @file Windows: every prediction in one window, whatever the phase. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { windowAt, windowSlots } from './windows.ts';

it('property: the slots cover all predictions in order, none longer than a window', () => {
  fc.assert(
    fc.property(fc.nat(500), fc.integer({ min: 1, max: 60 }), fc.nat(59), (predictions, W, seed) => {
      const phase = seed % W;
      let at = 0;
      for (let slot = 0; slot < windowSlots(predictions, W); slot++) {
        const { from, to } = windowAt(predictions, W, phase, slot);
        expect(from).toBe(at);
        expect(to - from).toBeLessThanOrEqual(W);
        at = to;
      }
      expect(at).toBe(predictions);
    }),
  );
});

it('without a phase all windows but the last are full', () => {
  const windows = Array.from({ length: windowSlots(25, 10) }, (_, slot) => windowAt(25, 10, 0, slot));
  expect(windows.map(({ from, to }) => [from, to])).toEqual([
    [0, 0],
    [0, 10],
    [10, 20],
    [20, 25],
  ]);
  expect(windowSlots(10, 10)).toBe(1);
  expect(windowSlots(0, 10)).toBe(0);
});
