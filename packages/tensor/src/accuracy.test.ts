/** @file The native exp and log: within the error that scalar.h states, and what they do with infinities and NaN. */
import { describe, expect, it } from 'vitest';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { KERNEL_NAMES } from './kernels.ts';
import { type Contents, Draw, runCase } from './testing/case.ts';

/** Distance in units of the last place of float32 at `expected`. */
function ulps(x: number, expected: number): number {
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(expected))), -126);
  return Math.abs(x - expected) / 2 ** (exponent - 23);
}

function worst(x: ArrayLike<number>, inputs: Float64Array, f: (x: number) => number): number {
  return inputs.reduce((most, input, i) => Math.max(most, ulps(x[i] as number, f(input))), 0);
}

describe.skipIf(!nativeAvailable())('native scalar functions', () => {
  const native = nativeDevice();

  /** e^x: a state of ones after one token of gated linear attention with zero key, whose log decay is x. */
  async function exp(x: Float64Array): Promise<Float64Array> {
    const rows = Math.ceil(x.length / 16);
    const gate = new Float64Array(rows * 16);
    gate.set(x);
    const zero = new Float64Array(rows * 16);
    const ones = new Float64Array(rows * 256).fill(1);
    const state = { output: rows * 256 };
    const [, end] = await runCase(native, {
      name: 'exp',
      kernel: 'recurrence',
      buffers: [{ output: rows * 16 }, state, null, zero, zero, zero, null, null, gate, ones, null],
      numbers: [rows, 1, 1, 16, 16, 64, 1, 0, 2],
    });
    return Float64Array.from(x, (_, i) => (end as Float32Array)[i * 16] as number);
  }

  /** x log x: the divergence of a teacher who says nothing of any token but puts mass x on the rest. */
  async function xLogX(x: Float64Array): Promise<Contents> {
    const M = x.length;
    const empty = { output: M };
    const none = [new Int32Array(0), new Float64Array(0)];
    const [loss] = await runCase(native, {
      name: 'x log x',
      kernel: 'kl_top_k',
      buffers: [empty, empty, empty, new Float64Array(M), ...none, x],
      numbers: [M, 1, 0],
    });
    return loss as Contents;
  }

  async function unary(op: number, x: number[]): Promise<number[]> {
    const [y] = await runCase(native, {
      name: 'unary',
      kernel: 'unary',
      buffers: [{ output: x.length }, Float64Array.from(x)],
      numbers: [x.length, op],
    });
    return [...(y as Float32Array)];
  }

  const draw = new Draw('accuracy');

  it.each([
    ['the range of the gates', -20, 0],
    ['around zero', -0.4, 0.4],
    ['all of the range', -87, 88.7],
    ['subnormal results', -103, -87.4],
  ])('exp is within 2 ulp on %s', async (_, low, high) => {
    const x = draw.uniform(20_000, low, high);
    expect(worst(await exp(x), x, Math.exp)).toBeLessThanOrEqual(2);
  });

  it.each([
    ['probabilities', -16, 0],
    ['around one', -0.5, 0.5],
    ['large numbers', 0, 80],
  ])('log is within 2 ulp on %s', async (_, low, high) => {
    const x = draw.uniform(20_000, low, high).map((y) => Math.fround(Math.exp(y)));
    // Half a unit more for the product.
    expect(worst((await xLogX(x)) as Float32Array, x, (y) => y * Math.log(y))).toBeLessThanOrEqual(2.5);
  });

  it('exp saturates, and NaN passes', async () => {
    const x = Float64Array.of(0, 89, 200, Infinity, -105, -1000, -Infinity, NaN);
    expect([...(await exp(x))]).toEqual([1, Infinity, Infinity, Infinity, 0, 0, 0, NaN]);
  });

  it('activations have their limits, and NaN passes', async () => {
    const x = [Infinity, -Infinity, NaN];
    expect(await unary(1, x)).toEqual([1, 0, NaN]);
    expect(await unary(2, x)).toEqual([Infinity, 0, NaN]);
    expect((await unary(3, x)).map((y) => y + 0)).toEqual([0, -Infinity, NaN]);
    expect(await unary(0, [Infinity, -200, NaN])).toEqual([Infinity, expect.closeTo(0, 30), NaN]);
  });

  it('softplus keeps its relative accuracy where it is small', async () => {
    const x = draw.uniform(5000, -80, -1);
    expect(worst(await unary(2, [...x]), x, (y) => Math.log1p(Math.exp(y)))).toBeLessThanOrEqual(4);
  });

  it('a row with a NaN logit gives a NaN loss and leaves the other rows alone', async () => {
    const logits = Float64Array.of(1, NaN, 2, 1, 0, 2);
    const [loss] = await runCase(native, {
      name: 'NaN',
      kernel: 'cross_entropy',
      buffers: [{ output: 2 }, { output: 2 }, logits, Int32Array.of(0, 0)],
      numbers: [2, 3],
    });
    expect(loss?.[0]).toBeNaN();
    expect(loss?.[1]).toBeCloseTo(Math.log(Math.E + 1 + Math.E ** 2) - 1, 6);
  });

  it('an impossible target gives an infinite loss', async () => {
    const logits = Float64Array.of(0, -Infinity, 0);
    const [loss] = await runCase(native, {
      name: 'impossible',
      kernel: 'cross_entropy',
      buffers: [{ output: 1 }, { output: 1 }, logits, Int32Array.of(1)],
      numbers: [1, 3],
    });
    expect(loss?.[0]).toBe(Infinity);
  });
});

it('lists every kernel once', () => {
  expect(new Set(KERNEL_NAMES).size).toBe(KERNEL_NAMES.length);
});
