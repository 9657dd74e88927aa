/** @file What native kernels do with infinities and NaN. */
import { describe, expect, it } from 'vitest';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { KERNEL_NAMES } from './kernels.ts';
import { runCase } from './testing/case.ts';

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
