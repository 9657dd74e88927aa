import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalTwoSided, normalUpperTail } from './normal.ts';
import { areTied, bootstrapInterval, pairedTest, testDeltas } from './paired.ts';

const wave = (offset: number) => Array.from({ length: 110 }, (_, i) => 0.01 * (((7 * i) % 11) - offset));

describe('normal tail', () => {
  // Reference: 0.5 erfc(x / sqrt 2) of a C library.
  it.each([
    [0, 0.5],
    [0.5, 0.3085375387259869],
    [1, 0.15865525393145707],
    [1.881, 0.029985959421269897],
    [1.96, 0.024997895148220435],
    [2.49, 0.006387154764943176],
    [2.51, 0.006036558080412668],
    [3, 0.0013498980316300957],
    [6, 9.865876450377012e-10],
    [10, 7.619853024160593e-24],
    [-1, 0.8413447460685429],
  ])('P(Z > %d)', (x, expected) => {
    expect(Math.abs(normalUpperTail(x) / expected - 1)).toBeLessThan(1e-12);
  });

  it('is decreasing and symmetric, also across the change of method', () => {
    fc.assert(
      fc.property(fc.double({ min: -4, max: 8, noNaN: true }), (x) => {
        expect(normalUpperTail(x) + normalUpperTail(-x)).toBeCloseTo(1, 14);
        expect(normalUpperTail(x + 1e-3)).toBeLessThan(normalUpperTail(x));
      }),
    );
    expect(normalUpperTail(Infinity)).toBe(0);
    expect(normalTwoSided(-1.96)).toBeCloseTo(0.0499957902964409, 14);
  });
});

describe('published vectors', () => {
  it('passes the statistics but not the prompt count', () => {
    const got = testDeltas([0.03, 0.01, -0.01, 0.02, 0, 0.04]);
    expect(got).toMatchObject({ n: 6, significant: true, win: false });
    expect(got.meanDelta).toBeCloseTo(0.015, 12);
    expect(got.se).toBeCloseTo(0.007637626158, 12);
    expect(got.t).toBeCloseTo(1.963961012, 9);
    expect(got.p).toBeCloseTo(0.024767307, 9);
    expect(got.lcb).toBeCloseTo(3.025273e-5, 9);
  });

  it('wins', () => {
    const got = testDeltas(wave(4));
    expect(got.win).toBe(true);
    expect(got.se).toBeCloseTo(0.003028912664, 12);
    expect(got.t).toBeCloseTo(3.301514804, 9);
    expect(got.p).toBeCloseTo(0.000480821, 9);
    expect(got.lcb).toBeCloseTo(0.004063331, 9);
  });

  it('does not win', () => {
    const got = testDeltas(wave(4.8));
    expect(got.win).toBe(false);
    expect(got.t).toBeCloseTo(0.660302961, 9);
    expect(got.p).toBeCloseTo(0.254529715, 9);
    expect(got.lcb).toBeCloseTo(-0.003936669, 9);
  });
});

describe('edges', () => {
  const constant = (value: number) => new Array(120).fill(value);

  it('without variance the sign decides', () => {
    expect(testDeltas(constant(0.1))).toMatchObject({ t: Infinity, p: 0, win: true });
    expect(testDeltas(constant(-0.1))).toMatchObject({ t: -Infinity, p: 1, win: false });
    expect(testDeltas(constant(0))).toMatchObject({ t: 0, p: 1, win: false });
  });

  it('nothing measured or not a number never wins', () => {
    expect(testDeltas([]).win).toBe(false);
    expect(testDeltas([...wave(4), Number.NaN]).win).toBe(false);
    expect(testDeltas([...wave(4), Infinity]).win).toBe(false);
  });

  it('a margin must be exceeded by the bound, not only by the mean', () => {
    const rules = { minPrompts: 100, alpha: 0.03, confidenceZ: 1.96, minDelta: 0.005 };
    expect(testDeltas(wave(4), rules).win).toBe(false);
  });

  it('refuses two lists of different length', () => {
    expect(() => pairedTest([1, 2], [1])).toThrow('the king has 2 prompts, the challenger 1');
  });

  it('two noisy copies are tied, two different models are not, and few prompts tell nothing', () => {
    const a = wave(0);
    expect(areTied(a, wave(0.1))).toBe(false); // a constant shift has no variance: told apart
    expect(
      areTied(
        a,
        a.map((x, i) => x + (i % 2 ? 1e-4 : -1e-4)),
      ),
    ).toBe(true);
    expect(
      areTied(
        a,
        a.map((x, i) => x - 0.1 - (i % 3) * 0.01),
      ),
    ).toBe(false);
    expect(
      areTied(
        a.slice(0, 50),
        a.slice(0, 50).map((x, i) => x + 1 + (i % 2)),
      ),
    ).toBe(true);
  });
});

it('a margin ties what differs by less, however surely', () => {
  const a = wave(0);
  const b = a.map((x, i) => x + 1e-3 + (i % 2) * 1e-5);
  const margin = (minDelta: number) => ({ minPrompts: 100, alpha: 0.03, confidenceZ: 1.96, minDelta });
  expect(areTied(a, b, margin(0))).toBe(false);
  expect(areTied(a, b, margin(0.0015))).toBe(true);
  expect(areTied(a, b, margin(0.0005))).toBe(false);
  expect(areTied(a, wave(0), margin(0.0015))).toBe(true);
});

describe('properties', () => {
  const deltas = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 100, maxLength: 140 });

  it('swapping king and challenger mirrors the test: both can never win', () => {
    fc.assert(
      fc.property(deltas, (d) => {
        const [forward, backward] = [testDeltas(d), testDeltas(d.map((x) => -x))];
        expect(backward.meanDelta).toBeCloseTo(-forward.meanDelta, 12);
        expect(backward.se).toBeCloseTo(forward.se, 12);
        expect(forward.win && backward.win).toBe(false);
      }),
    );
  });

  it('the bootstrap interval is a pure function and holds the mean of a wide sample', () => {
    const d = wave(4);
    expect(bootstrapInterval(d)).toEqual(bootstrapInterval(d));
    const { low, high } = bootstrapInterval(d);
    expect(low).toBeGreaterThan(0);
    expect(low).toBeLessThan(0.01);
    expect(high).toBeGreaterThan(0.01);
    expect(bootstrapInterval(d, { seed: 'other' }).low).not.toBe(low);
  });
});
