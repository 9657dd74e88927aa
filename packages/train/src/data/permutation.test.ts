/** @file Orders: every number once, other keys other orders, no trend. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { permutation } from './permutation.ts';

const all = (size: number, key: string) => {
  const order = permutation(size, key);
  return Array.from({ length: size }, (_, i) => order(i));
};

describe('permutation', () => {
  it('property: a bijection, a function of its key', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.string(), (size, key) => {
        const numbers = all(size, key);
        expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
        expect(all(size, key)).toEqual(numbers);
      }),
    );
  });

  it('of sizes beyond 32 bits: in range, and no number twice among many', () => {
    const size = 2 ** 40 + 12345;
    const order = permutation(size, 'large');
    const seen = new Set<number>();
    for (let i = 0; i < 20_000; i++) {
      const value = order(size - 1 - i);
      expect(Number.isInteger(value) && value >= 0 && value < size).toBe(true);
      seen.add(value);
    }
    expect(seen.size).toBe(20_000);
  });

  it.each([10, 100, 1000, 4097])('of %i: neighbours are as far apart as by chance, keys are independent', (size) => {
    const expected = size / 3;
    let [distance, same, count] = [0, 0, 0];
    for (let key = 0; key < 40; key++) {
      const [one, other] = [all(size, `a${key}`), all(size, `b${key}`)];
      for (let i = 1; i < size; i++) {
        distance += Math.abs((one[i] as number) - (one[i - 1] as number));
        if (one[i] === other[i]) same++;
        count++;
      }
    }
    // Standard deviation of the mean: below 0.24 · size / sqrt(count); five of them.
    expect(Math.abs(distance / count - expected)).toBeLessThan((1.2 * size) / Math.sqrt(count) + 1);
    // Poisson(40).
    expect(same).toBeLessThan(80);
  });
});
