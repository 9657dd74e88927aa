/** @file Rows of an n-gram memory: known hashes, the edge of 64 bits, blocks and segments. */
import { describe, expect, it } from 'vitest';
import { openDevice } from '../devices/open.ts';
import { referenceDevice } from '../devices/reference/device.ts';
import { ShapeError, Tensor } from '../tensor.ts';
import { Draw } from '../testing/case.ts';
import { ngramRows, Positions } from './index.ts';

describe.each([
  ['reference', referenceDevice({ precision: 'f64' })],
  ['best device', openDevice('auto')],
])('%s', (_, device) => {
  const ints = (values: ArrayLike<number>, shape = [values.length]) => Tensor.from(device, shape, values, 'int');
  const hash = (map: number[], seeds: number[], orders: number[], slots: number) => ({
    map: ints(map),
    seeds: ints(seeds),
    orders: ints(orders),
    slots,
    back: Math.max(...orders) - 1,
  });

  it('hashes as signed 64-bit numbers that wrap', async () => {
    const wrap = (x: bigint) => BigInt.asIntN(64, x);
    const first = wrap(7n * 2654435761n) ^ 12n;
    const second = wrap(first * 2654435761n) ^ 5n;
    expect([first, second]).toEqual([18581050331n, -6018027745581367954n]);
    const { rows } = ngramRows(ints([1, 0], [1, 2]), hash([5, 12], [7], [2], 1009), null, null);
    const start = wrap(wrap(7n * 2654435761n) * 2654435761n) ^ 12n; // the token before the first counts as 0
    const expected = [start, second].map((h) => Number((h < 0n ? -h : h) % 1009n));
    expect([...(await rows.read())]).toEqual(expected);
  });

  it('the least number counts from below, as in the public code', async () => {
    const { rows } = ngramRows(ints([0, 1], [1, 2]), hash([4_044_166, 373], [295_746_163], [2], 125_003), null, null);
    const least = -(2n ** 63n);
    expect((await rows.read())[1]).toBe(Number(((least % 125_003n) + 125_003n) % 125_003n));
  });

  it('tables lie one after the other; blocks give the whole; documents do not see each other', async () => {
    const draw = new Draw('ngrams');
    const [T, V, slots] = [40, 30, 97];
    const map = [...draw.ints(V, 0, 2 ** 20)];
    const of = hash(map, [3, 5, 11, 17], [2, 3], slots);
    const ids = draw.ints(T, 0, V - 1);
    const whole = await ngramRows(ints(ids, [1, T]), of, null, null).rows.read();
    whole.forEach((row, i) => {
      expect(Math.floor(row / slots)).toBe(i % 4);
    });
    for (const block of [1, 2, 7]) {
      const parts: number[] = [];
      let state: Tensor | null = null;
      for (let t = 0; t < T; t += block) {
        const part = ids.slice(t, t + block);
        const step = ngramRows(ints(part, [1, part.length]), of, state, null);
        parts.push(...(await step.rows.read()));
        state = step.state;
      }
      expect(parts).toEqual([...whole]);
    }
    const values = Int32Array.from({ length: T }, (_, t) => (t < 9 ? t + 3 : t - 9));
    const packed = await ngramRows(ints(ids, [1, T]), of, null, new Positions(device, 1, T, values)).rows.read();
    const alone = await ngramRows(ints(ids.slice(9), [1, T - 9]), of, null, null).rows.read();
    expect([...packed.slice(9 * 4)]).toEqual([...alone]);
    expect([...packed.slice(0, 9 * 4)]).toEqual([...whole.slice(0, 9 * 4)]);
  });

  it('refuses tables that do not fit', () => {
    const ids = ints([0], [1, 1]);
    expect(() => ngramRows(ids, hash([1], [1, 2, 3], [2, 3], 5), null, null)).toThrow(ShapeError);
    expect(() => ngramRows(ids, hash([1], [1, 2], [2], 2 ** 30), null, null)).toThrow(ShapeError);
    expect(() => ngramRows(ids, hash([1], [1], [2], 5), Tensor.zeros(device, [1, 2]), null)).toThrow(ShapeError);
  });
});
