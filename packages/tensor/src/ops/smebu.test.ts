/** @file SMEBU: the step it takes, what it keeps, and that it balances a skewed router. */
import { Rng } from '@quasar/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { referenceDevice } from '../devices/reference/device.ts';
import { Tensor } from '../tensor.ts';
import { smebu } from './optim.ts';

const SETTINGS = { kappa: 2, lambda: 2e-3, beta: 0.5 };

const device = referenceDevice({ precision: 'f64' });

interface State {
  bias: Float64Array;
  momentum: Float64Array;
  maxVio: Float64Array;
}

function state(layers: number, experts: number): State {
  return {
    bias: new Float64Array(layers * experts),
    momentum: new Float64Array(layers * experts),
    maxVio: new Float64Array(layers),
  };
}

async function update(state: State, counts: number[][], settings = SETTINGS): Promise<void> {
  const tensors = [state.bias, state.momentum, state.maxVio].map((x) => Tensor.from(device, [x.length], x));
  const [bias, momentum, worst] = tensors as [Tensor, Tensor, Tensor];
  const given = counts.map((n) => Tensor.from(device, [n.length], n));
  smebu(bias, momentum, worst, given, settings);
  state.bias.set(await bias.read());
  state.momentum.set(await momentum.read());
  state.maxVio.set(await worst.read());
}

describe('one update', () => {
  it('is the published formula', async () => {
    const s = state(1, 4);
    const { bias, momentum, maxVio } = s;
    const counts = [10, 30, 20, 20];
    await update(s, [counts]);
    const violation = counts.map((n) => (20 - n) / (20 + 1e-6));
    const delta = violation.map((v) => 2e-3 * Math.tanh(2 * v));
    const mean = delta.reduce((a, b) => a + b) / 4;
    delta.forEach((d, e) => {
      expect(momentum[e]).toBeCloseTo(0.5 * (d - mean), 9);
      expect(bias[e]).toBeCloseTo(0.5 * (d - mean), 9);
    });
    expect(maxVio[0]).toBeCloseTo(0.01 * 0.5, 6);
    await update(s, [counts]);
    expect(momentum[0]).toBeCloseTo(0.75 * ((delta[0] as number) - mean), 9);
  });

  it('raises idle experts, lowers busy ones, and keeps the sum of the bias at zero', async () => {
    const counts = fc.array(fc.nat(1000), { minLength: 2, maxLength: 16 });
    await fc.assert(
      fc.asyncProperty(counts, fc.integer({ min: 1, max: 30 }), async (n, steps) => {
        const s = state(1, n.length);
        const { bias, maxVio } = s;
        for (let i = 0; i < steps; i++) await update(s, [n]);
        expect(Math.abs(bias.reduce((a, b) => a + b, 0))).toBeLessThan(1e-5);
        const mean = n.reduce((a, b) => a + b, 0) / n.length;
        const [busiest, idlest] = [n.indexOf(Math.max(...n)), n.indexOf(Math.min(...n))];
        if (n[busiest] !== n[idlest]) expect(bias[busiest] as number).toBeLessThan(bias[idlest] as number);
        expect(maxVio[0] as number).toBeGreaterThanOrEqual(0);
        if (mean === 0) expect(bias.every((b) => b === 0)).toBe(true);
      }),
    );
  });

  it('centres whatever bias it is given', async () => {
    const s = state(1, 4);
    const { bias } = s;
    bias.set([1, 2, 3, 4]);
    await update(s, [[5, 5, 5, 5]]);
    expect([...bias]).toEqual([-1.5, -0.5, 0.5, 1.5]);
  });

  it('treats each layer by itself', async () => {
    const both = state(2, 2);
    const second = state(1, 2);
    await update(both, [
      [5, 5],
      [1, 9],
    ]);
    await update(second, [[1, 9]]);
    expect([...both.bias]).toEqual([0, 0, ...second.bias]);
    expect([...both.maxVio]).toEqual([0, ...second.maxVio]);
  });

  it('bounds the bias and heals a bias that is not a number', async () => {
    const s = state(1, 2);
    const { bias } = s;
    bias.set([Number.NaN, 9.9999]);
    for (let i = 0; i < 500; i++) await update(s, [[1000, 0]], { ...SETTINGS, lambda: 1 });
    expect(bias.every((b) => Math.abs(b) <= 10)).toBe(true);
    expect(bias[1]).toBeCloseTo(10, 3);
  });
});

it('balances a router with a fixed skew: the worst overload falls below 5 %', async () => {
  const [experts, tokens, K] = [8, 1024, 2];
  const rng = new Rng('skew');
  const scores = Array.from({ length: tokens }, () =>
    Array.from({ length: experts }, (_, e) => 1 / (1 + Math.exp(-(0.25 * e + rng.normal())))),
  );
  const s = state(1, experts);
  const { bias, maxVio } = s;
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
  for (let step = 0; step < 700; step++) await update(s, [loads()]);
  expect(overload(loads())).toBeLessThan(0.05);
  expect(maxVio[0]).toBeLessThan(0.05);
});
