/** @file Storage types: what is rounded how, on every device alike. */
import { describe, expect, it } from 'vitest';
import { gradients } from '../autograd.ts';
import { nativeAvailable, nativeDevice } from '../devices/native.ts';
import { referenceDevice } from '../devices/reference/device.ts';
import { Tensor } from '../tensor.ts';
import { runCase } from '../testing/case.ts';
import { castCases } from '../testing/cases/cast.ts';
import { cast } from './cast.ts';
import { weightedSum } from './elementwise.ts';
import { embedding } from './vocabulary.ts';

const DEVICES = {
  reference: () => referenceDevice({ precision: 'f32' }),
  ...(nativeAvailable() && { native: () => nativeDevice() }),
};

describe.each(Object.entries(DEVICES))('%s', (_, open) => {
  const device = open();

  it.each([
    ['bf16', 1 + 2 ** -8, 1],
    ['bf16', 1 + 3 * 2 ** -8, 1 + 2 ** -6],
    ['bf16', -(1 + 2 ** -8 + 2 ** -20), -(1 + 2 ** -7)],
    ['bf16', 3.4e38, Number.POSITIVE_INFINITY],
    ['bf16', 2 ** -134, 0],
    ['bf16', 3 * 2 ** -134, 2 ** -132],
    ['f16', 1 + 2 ** -11, 1],
    ['f16', 1 + 3 * 2 ** -11, 1 + 2 ** -9],
    ['f16', 65519, 65504],
    ['f16', -65520, Number.NEGATIVE_INFINITY],
    ['f16', 2 ** -25, 0],
    ['f16', -3 * 2 ** -25, -(2 ** -23)],
    ['f16', 2 ** -14 - 2 ** -26, 2 ** -14],
  ] as const)('%s holds %d as %d, written or cast', async (dtype, value, expected) => {
    const written = Tensor.from(device, [1], [value], dtype);
    expect(await written.item()).toBe(expected);
    const casted = cast(Tensor.from(device, [1], [value]), dtype);
    expect(casted.dtype).toBe(dtype);
    expect(await casted.item()).toBe(expected);
    expect(await cast(casted, 'float').item()).toBe(expected);
  });

  it('refuses ints', () => {
    expect(() => cast(Tensor.from(device, [1], [1], 'int'), 'bf16')).toThrow(
      expect.objectContaining({ code: 'tensor.bad_kernel_call' }),
    );
  });

  it('passes gradients on as floats, through a cast and out of a bf16 table', async () => {
    const table = Tensor.from(device, [3, 2], [1, 2, 3, 4, 5, 6], 'bf16');
    const x = Tensor.from(device, [2], [1.001, -7.003]);
    table.requiresGrad = x.requiresGrad = true;
    const ids = Tensor.from(device, [1], [2], 'int');
    const { gradients: found } = gradients([x, table], () => ({
      loss: weightedSum(cast(cast(x, 'f16'), 'float'), embedding(table, ids)),
    }));
    expect([...((await found[0]?.read()) ?? [])]).toEqual([5, 6]);
    const { gradients: ofTable } = gradients([table], () => ({
      loss: weightedSum(embedding(table, ids), Tensor.from(device, [2], [0.1, 0.2])),
    }));
    expect(ofTable[0]?.dtype).toBe('float');
    expect([...((await ofTable[0]?.read()) ?? [])].map((d) => Math.round(d * 100))).toEqual([0, 0, 0, 0, 10, 20]);
  });
});

it.skipIf(!nativeAvailable())('the native device holds and casts exactly what the reference does', async () => {
  const reference = referenceDevice({ precision: 'f32' });
  for (const one of await castCases()) {
    expect(await runCase(nativeDevice(), one), one.name).toEqual(await runCase(reference, one));
  }
});
