/** @file The device without memory: shapes of any size, calls checked, nothing computed. */
import { expect, it } from 'vitest';
import { linear } from '../ops/index.ts';
import { Tensor } from '../tensor.ts';
import { shapeDevice } from './shapes.ts';

const device = shapeDevice();

it('gives shapes that no memory could hold', () => {
  const wide = linear(Tensor.empty(device, [1e6, 1e5]), Tensor.empty(device, [1e6, 1e5]));
  expect(wide.shape).toEqual([1e6, 1e6]);
});

it('refuses calls that do not fit, and to be read', async () => {
  const [one, two] = [Tensor.empty(device, [1]), Tensor.empty(device, [2])];
  expect(() => device.run('multiply', [one.buffer, one.buffer, two.buffer], [2])).toThrow(
    expect.objectContaining({ code: 'tensor.bad_kernel_call' }),
  );
  await expect(one.read()).rejects.toMatchObject({ code: 'tensor.no_values' });
});
