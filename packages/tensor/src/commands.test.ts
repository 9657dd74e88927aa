/** @file Command lists: the bits of the ordinary path, what is carried, what is refused, whose memory it is. */
import { describe, expect, it } from 'vitest';
import { gradients } from './autograd.ts';
import { type Recorded, recordCommands } from './commands.ts';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { referenceDevice } from './devices/reference/device.ts';
import {
  add,
  attention,
  concat,
  deltaRule,
  l2Norm,
  linear,
  multiply,
  reshape,
  scale,
  silu,
  slice,
  weightedSum,
  withRoom,
  writeRows,
} from './ops/index.ts';
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

  it('repeats a step of training, forward and back, with the bits of the ordinary one', async () => {
    const draw = new Draw('step');
    const [B, T, H, E] = [2, 70, 2, 16];
    const w = Tensor.from(device, [H * E, H * E], draw.normal(H * H * E * E, 0.2));
    w.requiresGrad = true;
    const x = Tensor.from(device, [B, T, H * E], draw.normal(B * T * H * E));
    const step = () =>
      scope(() => {
        const found = gradients([w], () => {
          const q = l2Norm(reshape(linear(x, w), [B, T, H, E]));
          const { out } = deltaRule(q, q, reshape(silu(x), [B, T, H, E]), Tensor.filled(device, [B, T, H], 0.5));
          return { loss: weightedSum(out, Tensor.filled(device, out.shape, 0.1)) };
        });
        return [found.value.loss, found.gradients[0] as Tensor] as const;
      });
    const list = recordCommands(device, () => ({ value: step() }));
    for (let n = 0; n < 3; n++) {
      if (n > 0) {
        x.write(draw.normal(x.size));
        list.run();
      }
      const [loss, gradient] = step();
      expect(await list.value[0].read()).toEqual(await loss.read());
      expect(await list.value[1].read()).toEqual(await gradient.read());
    }
    list.dispose();
  });

  it('lets numbers grow with every run, with the bits of the ordinary path, as far as their buffers go', async () => {
    const draw = new Draw('grow');
    const [B, H, Hk, D] = [2, 4, 2, 16];
    const block = (S: number, heads: number) => Tensor.from(device, [B, S, heads, D], draw.normal(B * S * heads * D));
    const [q, k, v] = [block(1, H), block(1, Hk), block(1, Hk)];
    // Three tokens, of which two are kept, in room for five.
    let [keys, values] = [block(3, Hk), block(3, Hk)];
    const [roomK, roomV] = [withRoom(keys, 1, 3, 5), withRoom(values, 1, 3, 5)];
    [keys, values] = [slice(keys, 1, 1, 3), slice(values, 1, 1, 3)];
    const list = recordCommands(device, () => {
      writeRows(roomK, k, 2, 1);
      writeRows(roomV, v, 2, 1);
      return { value: attention(q, roomK, roomV, null, { length: 3, growth: 1 }) };
    });
    for (let n = 0; n < 3; n++) {
      if (n > 0) {
        for (const x of [q, k, v]) x.write(draw.normal(x.size));
        list.run();
      }
      [keys, values] = [concat([keys, k], 1), concat([values, v], 1)];
      expect(await list.value.read()).toEqual(await attention(q, keys, values, null).read());
    }
    const last = [await list.value.read(), await roomK.read()];
    q.write(draw.normal(q.size));
    expect(() => list.run()).toThrow(expect.objectContaining({ code: 'tensor.bad_kernel_call' }));
    expect([await list.value.read(), await roomK.read()]).toEqual(last);
    list.dispose();
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
