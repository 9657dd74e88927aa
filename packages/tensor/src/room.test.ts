/** @file Tensors with room for more rows. */
import { expect, it } from 'vitest';
import { gradients } from './autograd.ts';
import { referenceDevice } from './devices/reference/device.ts';
import { weightedSum, withRoom, writeRows } from './ops/index.ts';
import { ShapeError, Tensor } from './tensor.ts';

const device = referenceDevice({ precision: 'f64' });
const NONE = Number.NaN;

it('rows of each sequence stand before its room, and more are written there', async () => {
  const x = Tensor.from(device, [2, 3, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const cache = withRoom(x, 1, 3, 5);
  expect(cache.shape).toEqual([2, 5, 1, 2]);
  const room = [NONE, NONE, NONE, NONE, NONE, NONE];
  expect([...(await cache.read())]).toEqual([3, 4, 5, 6, ...room, 9, 10, 11, 12, ...room]);
  writeRows(cache, Tensor.from(device, [2, 2, 1, 2], [20, 21, 22, 23, 30, 31, 32, 33]), 3);
  const written = [3, 4, 5, 6, NONE, NONE, 20, 21, 22, 23, 9, 10, 11, 12, NONE, NONE, 30, 31, 32, 33];
  expect([...(await cache.read())]).toEqual(written);
});

it('refuses rows that do not fit, and gradients', () => {
  const x = Tensor.zeros(device, [2, 3, 2]);
  for (const [from, to, room] of [
    [-1, 2, 4],
    [2, 1, 4],
    [0, 4, 4],
    [0, 3, 2],
  ] as const)
    expect(() => withRoom(x, from, to, room)).toThrow(ShapeError);
  const cache = withRoom(x, 0, 3, 4);
  for (const at of [2, 4, -1]) expect(() => writeRows(cache, Tensor.zeros(device, [2, 3, 2]), at)).toThrow(ShapeError);
  expect(() => writeRows(cache, Tensor.zeros(device, [1, 1, 2]), 3)).toThrow(ShapeError);
  x.requiresGrad = true;
  const body = () => {
    writeRows(cache, x, 0);
    return { loss: weightedSum(cache, cache) };
  };
  expect(() => gradients([x], body)).toThrow('gradients');
});

it('attention beyond the room of its cache is refused', () => {
  const x = Tensor.zeros(device, [1, 4, 1, 16]);
  const call = (S: number, T: number) =>
    device.run(
      'attention',
      [x, null, x, x, x, null].map((t) => t?.buffer ?? null),
      [1, T, S, 4, 1, 1, 16, 1],
    );
  expect(() => call(4, 1)).not.toThrow();
  for (const [S, T] of [
    [5, 1],
    [2, 3],
  ] as const)
    expect(() => call(S, T)).toThrow(expect.objectContaining({ code: 'tensor.bad_kernel_call' }));
});
