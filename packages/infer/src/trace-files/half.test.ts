/** @file Halves: exact values of the standard, nearest with ties to even, and back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHalf, toHalf } from './half.ts';

describe('half', () => {
  it.each([
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [2 ** -25 * 1.01, 0x0001],
    [1 / 3, 0x3555],
    [65520, 0x7c00],
    [Number.NEGATIVE_INFINITY, 0xfc00],
    [Number.NaN, 0x7e00],
  ])('%d is 0x%s', (value, bits) => {
    expect(toHalf(value)).toBe(bits);
  });

  it('every half comes back', () => {
    const halves = Array.from({ length: 2 ** 16 }, (_, half) => half).filter((half) => !Number.isNaN(fromHalf(half)));
    expect(halves).toHaveLength(2 ** 16 - 2 * 1023);
    expect(halves.filter((half) => toHalf(fromHalf(half)) !== half)).toEqual([]);
  });

  it('no other half is nearer', () => {
    fc.assert(
      fc.property(fc.float({ min: -60000, max: 60000, noNaN: true }), (value) => {
        const half = toHalf(value);
        const error = Math.abs(fromHalf(half) - value);
        for (const other of [half - 1, half + 1].filter((h) => h >= 0 && (h & 0x7fff) < 0x7c00))
          expect(error).toBeLessThanOrEqual(Math.abs(fromHalf(other) - value));
      }),
    );
  });
});
