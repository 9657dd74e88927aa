/** @file What native kernels do with infinities and NaN. */
import { describe, expect, it } from 'vitest';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { KERNEL_NAMES } from './kernels.ts';
import { Draw, runCase } from './testing/case.ts';

describe.skipIf(!nativeAvailable())('native kernels', () => {
  const native = nativeDevice();

  async function unary(op: number, x: number[]): Promise<number[]> {
    const [y] = await runCase(native, {
      name: 'unary',
      kernel: 'unary',
      buffers: [{ output: x.length }, Float64Array.from(x)],
      numbers: [x.length, op],
    });
    return [...(y as Float32Array)];
  }

  it('activations have their limits, and NaN passes', async () => {
    const x = [Infinity, -Infinity, NaN];
    expect(await unary(1, x)).toEqual([1, 0, NaN]);
    expect(await unary(2, x)).toEqual([Infinity, 0, NaN]);
    expect((await unary(3, x)).map((y) => y + 0)).toEqual([0, -Infinity, NaN]);
    expect(await unary(0, [Infinity, -200, NaN])).toEqual([Infinity, expect.closeTo(0, 30), NaN]);
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

  it.each(['delta rule', 'gla'])('%s: a NaN spoils its chunk and what follows, nothing else', async (name) => {
    const [B, T, D] = [2, 200, 16];
    const draw = new Draw('NaN');
    const [q, k, v] = [draw.units(B * T, D), draw.units(B * T, D), draw.normal(B * T * D)];
    const isGla = name === 'gla';
    const strengths = isGla ? [null, null, draw.uniform(B * T * D, -0.2, 0)] : [draw.uniform(B * T, 0, 1), null, null];
    const run = async (values: Float64Array) => {
      const [out] = await runCase(native, {
        name,
        kernel: 'recurrence',
        buffers: [{ output: B * T * D }, { output: B * D * D }, null, q, k, values, ...strengths, null, null],
        numbers: [B, T, 1, D, D, 64, Math.ceil(T / 64), isGla ? 0 : 1, isGla ? 2 : 0],
      });
      return out as Float32Array;
    };
    const [clean, spoiled] = [await run(v), await run(v.map((x, i) => (i === 100 * D + 3 ? NaN : x)))];
    expect(spoiled.subarray(0, 64 * D)).toEqual(clean.subarray(0, 64 * D));
    expect(spoiled.subarray(T * D)).toEqual(clean.subarray(T * D));
    for (let t = 100; t < T; t++) expect(spoiled[t * D + 3]).toBeNaN();
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
