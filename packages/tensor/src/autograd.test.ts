import { beforeEach, expect, it } from 'vitest';
import { checkpoint, gradients, noGrad, type RowGradient } from './autograd.ts';
import { add, embedding, linear, multiply, reshape, scale, silu, weightedSum } from './ops/index.ts';
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

it('frees on the way back what the rest does not need', async () => {
  const w = Tensor.from(device, [2, 2], [1, 2, 3, 4]);
  w.requiresGrad = true;
  let most = 0;
  const counted = (x: Tensor) => {
    most = Math.max(most, device.live);
    return silu(x);
  };
  const x = Tensor.from(device, [1, 2], [0.1, -0.2]);
  const before = device.live;
  let hidden: Tensor[] = [];
  const { value, gradients: found } = gradients([w], () => {
    hidden = [x];
    for (let i = 0; i < 10; i++) hidden.push(counted(linear(hidden.at(-1) as Tensor, w)));
    return { loss: sum(hidden.at(-1) as Tensor), kept: hidden[5] };
  });
  // The loss, what the body returned, the gradient, and the constant of ones.
  expect(device.live).toBe(before + 4);
  expect(most).toBeGreaterThan(15);
  expect(await value.kept?.read()).toHaveLength(2);
  await expect(hidden[4]?.read()).rejects.toThrow(expect.objectContaining({ code: 'tensor.freed' }));
  expect(await found[0]?.read()).toHaveLength(4);
});

/** What each of both ways of running `layers` gives: gradients of w, x and the values it kept. */
async function plainAndCheckpointed(layer: (h: Tensor, w: Tensor, x: Tensor) => { h: Tensor; extra: Tensor }) {
  const results = [];
  for (const run of [<T>(body: () => T) => body(), checkpoint]) {
    const w = Tensor.from(device, [2, 2], [1, 0.2, -0.3, 0.4]);
    const x = Tensor.from(device, [1, 2], [0.1, -0.2]);
    w.requiresGrad = x.requiresGrad = true;
    const { value, gradients: found } = gradients([w, x], () => {
      let h = x;
      const extras: Tensor[] = [];
      for (let i = 0; i < 4; i++) {
        const from = h;
        const out = run(() => layer(from, w, x));
        h = out.h;
        extras.push(out.extra);
      }
      const loss = sum(add(h, extras[1] as Tensor));
      return { loss, extras };
    });
    const all = [value.loss, ...value.extras, ...found];
    results.push(await Promise.all(all.map(async (tensor) => [...((await tensor?.read()) ?? [])])));
  }
  return results;
}

it('a checkpoint gives the same values and gradients, for inputs used twice and for several outputs', async () => {
  const [plain, checkpointed] = await plainAndCheckpointed((h, w, x) => {
    const inner = silu(linear(h, w));
    return { h: add(h, multiply(inner, x)), extra: scale(inner, 3) };
  });
  expect(checkpointed).toEqual(plain);
});

it('checkpoints nest, and pass on what they did not make', async () => {
  const [plain, checkpointed] = await plainAndCheckpointed((h, w, x) => {
    const inner = checkpoint(() => [silu(linear(h, w)), x]);
    return { h: add(inner[0] as Tensor, inner[1] as Tensor), extra: reshape(x, [2]) };
  });
  expect(checkpointed).toEqual(plain);
});

it('a checkpoint keeps nothing but its result, and does nothing without a tape', () => {
  const x = parameter(1, 2);
  const before = device.live;
  let inside = 0;
  gradients([x], () => {
    const y = checkpoint(() => {
      const z = multiply(silu(multiply(x, x)), x);
      inside = device.live;
      return z;
    });
    expect(device.live).toBe(before + 1);
    return { loss: sum(y) };
  });
  expect(inside).toBeGreaterThanOrEqual(before + 3);
  expect(checkpoint(() => silu(x)).requiresGrad).toBe(false);
});

it('gradients of rows of a table are those of the table, for every use, computed again or not', async () => {
  const table = Tensor.from(device, [2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
  table.requiresGrad = true;
  const uses = (rowGradients: boolean) => () => {
    const use = (...ids: number[]) => {
      const at = Tensor.from(device, [ids.length], ids, 'int');
      const x = embedding(table, at, { rowGradients });
      return sum(multiply(x, x));
    };
    const again = checkpoint(() => scale(use(3, 1), 10));
    return { loss: add(use(0, 3, 0), again) };
  };
  const dense = gradients([table], uses(false));
  expect(dense.rowGradients).toEqual([null]);
  const { gradients: none, rowGradients } = gradients([table], uses(true));
  expect(none).toEqual([null]);
  const { ids, rows } = rowGradients[0] as RowGradient;
  const sums = new Float64Array(8);
  const [at, values] = [await ids.read(), await rows.read()];
  at.forEach((row, i) => {
    for (const d of [0, 1]) sums[row * 2 + d] = (sums[row * 2 + d] as number) + (values[i * 2 + d] as number);
  });
  expect([...at].sort()).toEqual([0, 0, 1, 3, 3]);
  expect([...sums]).toEqual([...(await (dense.gradients[0] as Tensor).read())]);
});

it('rows of one use keep their memory until the result is read, and no other', async () => {
  const table = Tensor.from(device, [3, 1], [1, 2, 3]);
  table.requiresGrad = true;
  const before = device.live;
  const at = await scope(() => {
    const ids = Tensor.from(device, [2], [2, 0], 'int');
    const { rowGradients } = gradients([table], () => ({
      loss: sum(scale(embedding(table, ids, { rowGradients: true }), 3)),
    }));
    return rowGradients[0] as RowGradient;
  }).rows.read();
  expect([...at]).toEqual([3, 3]);
  expect(device.live).toBe(before + 2);
});
