/** @file Doubles as fixed point, against BigInt on random and extreme operands. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { div, fromU16, mul, ONE, toU16 } from './fixed.ts';

const RUNS = { numRuns: 20_000 };
/** Whole numbers up to `max` of every magnitude, and those around powers of two. */
const whole = (max: number) =>
  fc.oneof(
    fc.integer({ min: 0, max }),
    fc.tuple(fc.integer({ min: 0, max: 52 }), fc.integer({ min: 0, max: 2 ** 30 })).map(([bits, x]) => x % 2 ** bits),
    fc.tuple(fc.integer({ min: 0, max: Math.log2(max) }), fc.integer({ min: -3, max: 3 })).map(([bits, x]) => {
      return Math.min(max, Math.max(0, 2 ** bits + x));
    }),
  );

describe('fixed point', () => {
  it('multiplies exactly, downwards, negative numbers too', () => {
    fc.assert(
      fc.property(whole(ONE), whole(2 ** 36), fc.boolean(), (a, size, isNegative) => {
        const b = isNegative ? -size : size;
        expect(BigInt(mul(a, b))).toBe((BigInt(a) * BigInt(b)) >> 32n);
      }),
      RUNS,
    );
  });

  it('divides exactly, downwards', () => {
    fc.assert(
      fc.property(whole(2 ** 52), whole(2 ** 52), (a, b) => {
        const expected = b === 0 ? 0n : (BigInt(a) << 32n) / BigInt(b);
        fc.pre(expected < 2n ** 53n);
        expect(BigInt(div(a, b))).toBe(expected);
      }),
      RUNS,
    );
  });

  it('divides multiples and their neighbours exactly', () => {
    fc.assert(
      fc.property(
        whole(2 ** 36),
        fc.integer({ min: 1, max: 2 ** 20 }),
        fc.integer({ min: -2, max: 2 }),
        (b, k, off) => {
          const a = Math.floor(b / k) * Math.min(k, 16) + off;
          fc.pre(a >= 0 && b > 0);
          expect(BigInt(div(a, b))).toBe((BigInt(a) << 32n) / BigInt(b));
        },
      ),
      RUNS,
    );
  });

  it('keeps u16 shares but for the last unit, and 0 and 1 exactly', () => {
    expect([toU16(0), toU16(ONE), toU16(-1), toU16(2 * ONE), toU16(ONE - 1)]).toEqual([0, 65535, 0, 65535, 65534]);
    const lost = Array.from({ length: 65536 }, (_, value) => value - toU16(fromU16(value)));
    expect(lost.every((units) => units === 0 || units === 1)).toBe(true);
  });
});
