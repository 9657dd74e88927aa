/** @file The streaming state as a value: forks, selections, sizes. */
import { openDevice, scope, type Tensor } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { forward, vocabularyLogits } from './forward.ts';
import type { ModelState } from './state.ts';
import { randomTokens, TINY, tinyParameters } from './testing/tiny.ts';

const device = openDevice('auto');

describe('state', async () => {
  const parameters = await tinyParameters(device);
  const tokens = randomTokens(3 * 17, TINY.vocab_size, 'state');
  const read = (state?: ModelState) => scope(() => forward(TINY, parameters, { tokens, B: 3, T: 17, state }).state);
  /** Logits after one more token per row. */
  const after = async (state: ModelState, next: number[]) => {
    const block = { tokens: Int32Array.from(next), B: next.length, T: 1, state };
    const logits = scope(() => vocabularyLogits(parameters, forward(TINY, parameters, block).hidden));
    const values = await logits.read();
    return next.map((_, row) => [...values.subarray(row * TINY.vocab_size, (row + 1) * TINY.vocab_size)]);
  };

  it('selected rows go on as they would have, in any order, also twice', async () => {
    const state = read();
    const expected = await after(state, [5, 6, 7]);
    const selected = state.select([2, 0, 2]);
    expect(selected.lengths).toEqual(Int32Array.of(17, 17, 17));
    expect(await after(selected, [7, 5, 7])).toEqual([expected[2], expected[0], expected[2]]);
  });

  it('is a value: what goes on from it, twice, does not change it', async () => {
    const state = read();
    const values = async () => Promise.all([...state.tensors.values()].map(async (t) => [...(await t.read())]));
    const before = await values();
    const first = await after(state, [1, 2, 3]);
    await after(state.select([0, 1, 2]), [4, 5, 6]);
    expect(await values()).toEqual(before);
    expect(await after(state, [1, 2, 3])).toEqual(first);
  });

  it('a copy goes on after the original was disposed', async () => {
    const state = read();
    const expected = await after(state, [1, 2, 3]);
    const copy = state.copy();
    state.dispose();
    expect(await after(copy, [1, 2, 3])).toEqual(expected);
  });

  it('its size does not depend on what was read', () => {
    const once = read();
    const twice = read(once);
    expect(twice.sizeBytes).toBe(once.sizeBytes);
    expect(once.sizeBytes % 3).toBe(0);
    expect(once.select([1]).sizeBytes).toBe(once.sizeBytes / 3);
    expect(twice.lengths).toEqual(Int32Array.of(34, 34, 34));
    // Two quasar layers (three convolutions of 3 inputs, a 16 x 16 state per head), two gla layers.
    const floats = 2 * (3 * 3 * TINY.d_model + 2 * 16 * 16) + 2 * (2 * 16 * 16);
    expect(once.sizeBytes).toBe(3 * floats * device.floatBytes);
  });

  it('rows that are not there are refused', () => {
    for (const rows of [[3], [-1], [0.5], [Number.NaN]])
      expect(() => read().select(rows)).toThrow(expect.objectContaining({ code: 'model.row_out_of_range' }));
  });

  it('a disposed state is not read again', async () => {
    const state = read();
    const tensor = [...state.tensors.values()][0] as Tensor;
    state.dispose();
    expect(() => state.select([0])).toThrow(expect.objectContaining({ code: 'tensor.freed' }));
    expect(tensor.size).toBeGreaterThan(0);
  });
});
