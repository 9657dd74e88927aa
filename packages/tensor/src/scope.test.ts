import { beforeEach, expect, it } from 'vitest';
import { add, reshape, scale } from './ops/index.ts';
import { persist, scope } from './scope.ts';
import { Tensor } from './tensor.ts';
import { type CountingDevice, countingDevice } from './testing/counting.ts';

let device: CountingDevice;
beforeEach(() => {
  device = countingDevice();
});

it('frees what it does not return', async () => {
  const kept = scope(() => {
    const x = Tensor.from(device, [2], [1, 2]);
    return scale(add(x, x), 2);
  });
  expect(device.live).toBe(1);
  expect([...(await kept.read())]).toEqual([4, 8]);
  kept.dispose();
  expect(device.live).toBe(0);
});

it('keeps tensors inside arrays, objects and maps', () => {
  const make = () => Tensor.filled(device, [1], 1);
  const result = scope(() => {
    make();
    return { list: [make(), make()], map: new Map([['a', make()]]), deep: { deeper: { x: make() } }, nothing: null };
  });
  expect(device.live).toBe(4);
  for (const tensor of [...result.list, ...result.map.values(), result.deep.deeper.x]) tensor.dispose();
  expect(device.live).toBe(0);
});

it('keeps the memory of a returned view', async () => {
  const view = scope(() => reshape(Tensor.from(device, [2, 2], [1, 2, 3, 4]), [4]));
  expect(device.live).toBe(1);
  expect([...(await view.read())]).toEqual([1, 2, 3, 4]);
});

it('moves what it returns to the enclosing scope', () => {
  scope(() => {
    scope(() => Tensor.zeros(device, [3]));
    expect(device.live).toBe(1);
  });
  expect(device.live).toBe(0);
});

it('leaves persistent tensors alone, also through a view', () => {
  const tensors = scope(() => {
    const x = persist(Tensor.zeros(device, [3]));
    const y = persist(reshape(Tensor.zeros(device, [4]), [2, 2]));
    return () => [x, y];
  })();
  expect(device.live).toBe(2);
  for (const tensor of tensors) tensor.dispose();
  expect(device.live).toBe(0);
});

it('frees everything when its body throws', () => {
  expect(() =>
    scope(() => {
      Tensor.zeros(device, [3]);
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(device.live).toBe(0);
});

it('refuses an asynchronous body', () => {
  expect(() => scope(async () => Tensor.zeros(device, [1]))).toThrow(TypeError);
});

it('may end after a tensor was freed by hand', () => {
  scope(() => {
    const x = Tensor.zeros(device, [3]);
    reshape(x, [3, 1]).dispose();
    Tensor.zeros(device, [3]).dispose();
  });
  expect(device.live).toBe(0);
});

it('a freed tensor cannot be used', async () => {
  const x = Tensor.from(device, [1], [1]);
  x.dispose();
  expect(() => add(x, x)).toThrow(expect.objectContaining({ code: 'tensor.freed' }));
  await expect(x.read()).rejects.toThrow(expect.objectContaining({ code: 'tensor.freed' }));
});
