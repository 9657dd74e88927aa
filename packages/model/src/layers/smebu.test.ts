/** @file SMEBU: the step it takes, what it keeps, and that it balances a skewed router. */
import { Rng } from '@quasar/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { smebuUpdate } from './smebu.ts';

const SETTINGS = { kappa: 2, lambda: 2e-3, beta: 0.5 };

function state(layers: number, experts: number) {
  return {
    bias: new Float32Array(layers * experts),
    momentum: new Float32Array(layers * experts),
    maxVio: new Float32Array(layers),
  };
}

describe('one update', () => {
  it('is the published formula', () => {
    const { bias, momentum, maxVio } = state(1, 4);
    const counts = [10, 30, 20, 20];
    smebuUpdate(bias, momentum, maxVio, [counts], SETTINGS);
    const violation = counts.map((n) => (20 - n) / (20 + 1e-6));
    const delta = violation.map((v) => 2e-3 * Math.tanh(2 * v));
    const mean = delta.reduce((a, b) => a + b) / 4;
    delta.forEach((d, e) => {
      expect(momentum[e]).toBeCloseTo(0.5 * (d - mean), 9);
      expect(bias[e]).toBeCloseTo(0.5 * (d - mean), 9);
    });
    expect(maxVio[0]).toBeCloseTo(0.01 * 0.5, 6);
    smebuUpdate(bias, momentum, maxVio, [counts], SETTINGS);
    expect(momentum[0]).toBeCloseTo(0.75 * ((delta[0] as number) - mean), 9);
  });

  it('raises idle experts, lowers busy ones, and keeps the sum of the bias at zero', () => {
    const counts = fc.array(fc.nat(1000), { minLength: 2, maxLength: 16 });
    fc.assert(
      fc.property(counts, fc.integer({ min: 1, max: 30 }), (n, steps) => {
        const { bias, momentum, maxVio } = state(1, n.length);
        for (let i = 0; i < steps; i++) smebuUpdate(bias, momentum, maxVio, [n], SETTINGS);
        expect(Math.abs(bias.reduce((a, b) => a + b, 0))).toBeLessThan(1e-5);
        const mean = n.reduce((a, b) => a + b, 0) / n.length;
        const [busiest, idlest] = [n.indexOf(Math.max(...n)), n.indexOf(Math.min(...n))];
        if (n[busiest] !== n[idlest]) expect(bias[busiest] as number).toBeLessThan(bias[idlest] as number);
        expect(maxVio[0] as number).toBeGreaterThanOrEqual(0);
        if (mean === 0) expect(bias.every((b) => b === 0)).toBe(true);
      }),
    );
  });

  it('centres whatever bias it is given', () => {
    const { bias, momentum, maxVio } = state(1, 4);
    bias.set([1, 2, 3, 4]);
    smebuUpdate(bias, momentum, maxVio, [[5, 5, 5, 5]], SETTINGS);
    expect([...bias]).toEqual([-1.5, -0.5, 0.5, 1.5]);
  });

  it('treats each layer by itself', () => {
    const both = state(2, 2);
    const second = state(1, 2);
    smebuUpdate(
      both.bias,
      both.momentum,
      both.maxVio,
      [
        [5, 5],
        [1, 9],
      ],
      SETTINGS,
    );
    smebuUpdate(second.bias, second.momentum, second.maxVio, [[1, 9]], SETTINGS);
    expect([...both.bias]).toEqual([0, 0, ...second.bias]);
    expect([...both.maxVio]).toEqual([0, ...second.maxVio]);
  });

  it('bounds the bias and heals a bias that is not a number', () => {
    const { bias, momentum, maxVio } = state(1, 2);
    bias.set([Number.NaN, 9.9999]);
    for (let i = 0; i < 500; i++) smebuUpdate(bias, momentum, maxVio, [[1000, 0]], { ...SETTINGS, lambda: 1 });
    expect(bias.every((b) => Math.abs(b) <= 10)).toBe(true);
    expect(bias[1]).toBeCloseTo(10, 3);
  });
});

it('balances a router with a fixed skew: the worst overload falls below 5 %', () => {
  const [experts, tokens, K] = [8, 1024, 2];
  const rng = new Rng('skew');
  const scores = Array.from({ length: tokens }, () =>
    Array.from({ length: experts }, (_, e) => 1 / (1 + Math.exp(-(0.25 * e + rng.normal())))),
  );
  const { bias, momentum, maxVio } = state(1, experts);
  const loads = () => {
    const counts = new Array<number>(experts).fill(0);
    for (const p of scores) {
      const score = p.map((s, e) => s + (bias[e] as number));
      for (let k = 0; k < K; k++) {
        const best = score.indexOf(Math.max(...score));
        score[best] = Number.NEGATIVE_INFINITY;
        counts[best] = (counts[best] as number) + 1;
      }
    }
    return counts;
  };
  const overload = (counts: number[]) => (Math.max(...counts) * experts) / (tokens * K) - 1;
  expect(overload(loads())).toBeGreaterThan(0.5);
  for (let step = 0; step < 700; step++) smebuUpdate(bias, momentum, maxVio, [loads()], SETTINGS);
  expect(overload(loads())).toBeLessThan(0.05);
  expect(maxVio[0]).toBeLessThan(0.05);
});
