/** @file Command lists: the bits of the ordinary path, what is carried, what is refused, whose memory it is. */
import { describe, expect, it } from 'vitest';
import { type Recorded, recordCommands } from './commands.ts';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { referenceDevice } from './devices/reference/device.ts';
import { add, linear, multiply, scale, silu } from './ops/index.ts';
import { scope } from './scope.ts';
import { ShapeError, Tensor } from './tensor.ts';
import { Draw } from './testing/case.ts';
import { countingDevice } from './testing/counting.ts';

const DEVICES = {
  reference: () => referenceDevice({ precision: 'f32' }),
  ...(nativeAvailable() && { native: () => nativeDevice() }),
};

describe.each(Object.entries(DEVICES))('%s', (_, open) => {
  const device = open();
  const values = async (x: Tensor) => [...(await x.read())];

  it('runs again with what its inputs hold now', async () => {
    const x = Tensor.from(device, [2], [1, 2]);
    const list = recordCommands(device, () => ({ value: add(scale(x, 3), Tensor.from(device, [2], [10, 20])) }));
    expect(list.length).toBe(2);
    expect(await values(list.value)).toEqual([13, 26]);
    x.write([-1, 5]);
    expect(await values(list.value)).toEqual([13, 26]);
    list.run();
    expect(await values(list.value)).toEqual([7, 35]);
    list.run();
    expect(await values(list.value)).toEqual([7, 35]);
    list.dispose();
  });

  it('carries a state on, with the bits of the ordinary path', async () => {
    const draw = new Draw('carry');
    const [w, first] = [draw.normal(24 * 24, 0.3), draw.normal(24)];
    const weights = Tensor.from(device, [24, 24], w);
    const input = Tensor.from(device, [1, 24], draw.normal(24));
    // Two states that change each other, so that an exchange in the wrong order shows.
    const step = (s: Tensor, t: Tensor): [Tensor, Tensor] => {
      const next = silu(linear(add(s, input), weights));
      return [next, add(multiply(t, next), s)];
    };
    const state = [Tensor.from(device, [1, 24], first), Tensor.from(device, [1, 24], first)] as const;
    const list = recordCommands(device, (): Recorded<Tensor> => {
      const [s, t] = step(...state);
      return {
        value: scale(t, 2),
        carried: [
          [s, state[0]],
          [t, state[1]],
        ],
      };
    });
    let [s, t] = [Tensor.from(device, [1, 24], first), Tensor.from(device, [1, 24], first)];
    for (let n = 0; n < 5; n++) {
      if (n > 0) {
        input.write(draw.normal(24));
        list.run();
      }
      [s, t] = step(s, t);
      expect(await list.value.read()).toEqual(await scale(t, 2).read());
      expect(await state[0].read()).toEqual(await s.read());
      expect(await state[1].read()).toEqual(await t.read());
    }
    list.dispose();
    expect(await state[1].read()).toEqual(await t.read());
  });

  it('outlives the scope it was recorded in', async () => {
    const x = Tensor.from(device, [1], [2]);
    const list = scope(() => {
      const made = recordCommands(device, () => ({ value: scale(x, 2) }));
      return () => made;
    })();
    for (let i = 0; i < 3; i++) Tensor.filled(device, [1], 99);
    list.run();
    expect(await values(list.value)).toEqual([4]);
    list.dispose();
  });

  it('refuses to run on freed memory', () => {
    const x = Tensor.from(device, [1], [2]);
    const list = recordCommands(device, () => ({ value: scale(x, 2) }));
    x.dispose();
    expect(() => list.run()).toThrow(expect.objectContaining({ code: 'tensor.freed' }));
    const other = recordCommands(device, () => ({ value: Tensor.filled(device, [1], 1) }));
    other.dispose();
    expect(() => other.run()).toThrow(expect.objectContaining({ code: 'tensor.freed' }));
  });

  it('refuses what a replay could not repeat, and leaves the device usable', async () => {
    const x = Tensor.from(device, [1], [2]);
    const y = Tensor.zeros(device, [1]);
    const refuse = (what: string | typeof ShapeError, body: () => Recorded<unknown>) =>
      expect(() => recordCommands(device, body)).toThrow(what);
    refuse('freed', () => ({ value: x.dispose() }));
    refuse('wrote', () => ({ value: [scale(x, 2), x.write([1])] }));
    refuse('carried pair', () => ({ value: 0, carried: [[x, scale(x, 1)]] }));
    refuse(ShapeError, () => ({ value: 0, carried: [[Tensor.zeros(device, [2]), x]] }));
    refuse('carried twice', () => {
      const z = scale(x, 1);
      return { value: 0, carried: [x, y].map((to) => [z, to] as const) };
    });
    refuse('no', () => {
      throw new Error('no');
    });
    expect(await values(scale(x, 2))).toEqual([4]);
    expect(() => x.write([1])).not.toThrow();
  });
});

it('owns the memory of everything that its body made', () => {
  const device = countingDevice();
  const x = Tensor.zeros(device, [3]);
  const list = recordCommands(device, () => ({ value: scope(() => add(scale(x, 2), scale(x, 3))) }));
  expect(device.live).toBe(4);
  list.dispose();
  expect(device.live).toBe(1);
  expect(() =>
    recordCommands(device, () => {
      scale(x, 2);
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(device.live).toBe(1);
});
