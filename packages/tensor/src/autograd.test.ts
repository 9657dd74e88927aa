import { beforeEach, expect, it } from 'vitest';
import { gradients, noGrad } from './autograd.ts';
import { add, linear, multiply, reshape, scale, silu, weightedSum } from './ops/index.ts';
import { scope } from './scope.ts';
import { ShapeError, Tensor } from './tensor.ts';
import { type CountingDevice, countingDevice } from './testing/counting.ts';

let device: CountingDevice;
beforeEach(() => {
  device = countingDevice();
});

function parameter(...values: number[]): Tensor {
  const tensor = Tensor.from(device, [values.length], values);
  tensor.requiresGrad = true;
  return tensor;
}

/** The sum of x. */
function sum(x: Tensor): Tensor {
  return weightedSum(x, Tensor.filled(device, x.shape, 1));
}

async function gradientOf(x: Tensor, body: () => Tensor): Promise<number[] | null> {
  const [gradient] = gradients([x], () => ({ loss: body() })).gradients;
  return gradient ? [...(await gradient.read())] : null;
}

it('adds up every use of a tensor', async () => {
  const x = parameter(2, -3);
  expect(await gradientOf(x, () => sum(multiply(x, x)))).toEqual([4, -6]);
  expect(await gradientOf(x, () => sum(add(add(x, x), add(x, scale(x, 3)))))).toEqual([6, 6]);
});

it('adds up gradients that several users share without touching one of them', async () => {
  const x = parameter(1, 2);
  const y = parameter(5, 7);
  const body = () => {
    const s = add(x, y); // hands the same gradient tensor to x and y
    return { loss: sum(add(s, multiply(x, x))) };
  };
  const [dx, dy] = gradients([x, y], body).gradients;
  expect([...((await dx?.read()) ?? [])]).toEqual([3, 5]);
  expect([...((await dy?.read()) ?? [])]).toEqual([1, 1]);
});

it('flows through a reshaped view and its original', async () => {
  const x = parameter(1, 2, 3, 4);
  const body = () => {
    const view = reshape(x, [2, 2]);
    return sum(add(multiply(view, view), reshape(x, [2, 2])));
  };
  expect(await gradientOf(x, body)).toEqual([3, 5, 7, 9]);
});

it('is null where the loss does not depend on a parameter', async () => {
  const x = parameter(1);
  const unused = parameter(1);
  const { gradients: found } = gradients([x, unused], () => ({ loss: sum(x) }));
  expect(found[0]).not.toBeNull();
  expect(found[1]).toBeNull();
});

it('stops at constants and at noGrad', async () => {
  const x = parameter(3);
  const constant = Tensor.from(device, [1], [10]);
  const body = () => {
    const target = noGrad(() => multiply(x, x));
    expect(target.requiresGrad).toBe(false);
    return sum(multiply(multiply(x, constant), target));
  };
  expect(await gradientOf(x, body)).toEqual([90]);
});

it('does not record outside of gradients', () => {
  const x = parameter(1);
  expect(silu(x).requiresGrad).toBe(false);
});

it('ignores branches that the loss does not use', async () => {
  const x = parameter(1, 2);
  const body = () => {
    multiply(x, x);
    return sum(x);
  };
  expect(await gradientOf(x, body)).toEqual([1, 1]);
});

it('gives back what the body computed, and can run again after an error', async () => {
  const x = parameter(2);
  expect(() =>
    gradients([x], () => {
      throw new Error('no');
    }),
  ).toThrow('no');
  const { value } = gradients([x], () => ({ loss: sum(x), extra: 'kept' }));
  expect(value.extra).toBe('kept');
  expect(await value.loss.item()).toBe(2);
});

it('refuses a loss with several elements, and nesting', () => {
  const x = parameter(1, 2);
  expect(() => gradients([x], () => ({ loss: x }))).toThrow(ShapeError);
  const inner = () => gradients([x], () => ({ loss: sum(x) }));
  expect(() => gradients([x], () => ({ loss: inner().value.loss }))).toThrow('nested');
});

it('a training step inside a scope leaves only its gradients', () => {
  const w = Tensor.from(device, [2, 2], [1, 2, 3, 4]);
  w.requiresGrad = true;
  const before = device.live;
  const found = scope(() => {
    const x = Tensor.from(device, [3, 2], [1, 2, 3, 4, 5, 6]);
    return gradients([w], () => ({ loss: sum(silu(linear(silu(linear(x, w)), w))) })).gradients;
  });
  expect(device.live).toBe(before + 1);
  found[0]?.dispose();
  expect(device.live).toBe(before);
});
