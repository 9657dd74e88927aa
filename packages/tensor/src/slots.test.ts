/** @file What slot attention must keep on every device: causality, streaming, packing, slots that are not chosen, bounds. */
import { describe, expect, it } from 'vitest';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { referenceDevice } from './devices/reference/device.ts';
import { Positions, type Slots, slotAttention, slotGates } from './ops/index.ts';
import { Tensor } from './tensor.ts';
import { Draw } from './testing/case.ts';
import { relativeError } from './testing/compare.ts';

const [T, H, HK, M, DK, DV] = [130, 4, 2, 32, 16, 32];

interface Tokens {
  q: Float64Array;
  k: Float64Array;
  v: Float64Array;
  logits: Float64Array;
  z: Float64Array;
}
const WIDTHS = { q: H * DK, k: HK * DK, v: HK * DV, logits: H * M, z: H };
const PARTS = Object.keys(WIDTHS) as (keyof Tokens)[];

function drawTokens(seed: string): Tokens {
  const draw = new Draw(seed);
  return Object.fromEntries(PARTS.map((part) => [part, draw.normal(T * WIDTHS[part])])) as unknown as Tokens;
}

const DEVICES = [
  { device: referenceDevice({ precision: 'f64' }), tolerance: 1e-12 },
  ...(nativeAvailable() ? [{ device: nativeDevice(), tolerance: 2e-6 }] : []),
].map((one) => ({ ...one, name: one.device.name }));

describe.each(DEVICES)('$name device', ({ device, tolerance }) => {
  const tokens = drawTokens('slots');
  const [rate, time] = [Tensor.zeros(device, [H]), Tensor.zeros(device, [H])];

  /** Tokens [from, to) after `state`, half of the slots chosen. */
  function run(all: Tokens, from: number, to: number, state: Slots | null, positions: Int32Array | null) {
    const tensor = (part: keyof Tokens, ...shape: number[]) =>
      Tensor.from(device, [1, to - from, ...shape], all[part].subarray(from * WIDTHS[part], to * WIDTHS[part]));
    const g = slotGates(tensor('logits', H, M), tensor('z', H), rate, time, null, M / 2);
    const at = positions && new Positions(device, 1, to - from, positions);
    const qkv = [tensor('q', H, DK), tensor('k', HK, DK), tensor('v', HK, DV)] as const;
    return { ...slotAttention(...qkv, g, state, at), g };
  }

  it.each([1, 15, 16, 63, 64, 129])('outputs before token %i do not depend on it, bit for bit', async (from) => {
    const other = drawTokens('other');
    const changed = { ...tokens };
    for (const part of PARTS) {
      changed[part] = tokens[part].slice();
      changed[part].set(other[part].subarray(from * WIDTHS[part]), from * WIDTHS[part]);
    }
    const before = await run(tokens, 0, T, null, null).out.read();
    const after = await run(changed, 0, T, null, null).out.read();
    expect(after.subarray(0, from * H * DV)).toEqual(before.subarray(0, from * H * DV));
    expect(after.subarray(from * H * DV)).not.toEqual(before.subarray(from * H * DV));
  });

  it.each([1, 7, 64, 100])('streaming in blocks of %i gives the whole', async (block) => {
    const whole = run(tokens, 0, T, null, null);
    const parts: number[] = [];
    let state: Slots | null = null;
    for (let t = 0; t < T; t += block) {
      const piece = run(tokens, t, Math.min(t + block, T), state, null);
      parts.push(...(await piece.out.read()));
      state = piece.state;
    }
    const end = state as Slots;
    expect(relativeError(Float64Array.from(parts), await whole.out.read())).toBeLessThan(tolerance);
    expect(relativeError(await end.keys.read(), await whole.state.keys.read())).toBeLessThan(tolerance);
    expect(relativeError(await end.values.read(), await whole.state.values.read())).toBeLessThan(tolerance);
  });

  it('a packed segment gives what it gives alone', async () => {
    const cut = 41;
    const positions = Int32Array.from({ length: T }, (_, t) => (t < cut ? t : t - cut));
    const packed = await run(tokens, 0, T, null, positions).out.read();
    const alone = await run(tokens, cut, T, null, positions.slice(cut)).out.read();
    expect(packed.subarray(cut * H * DV)).toEqual(alone);
  });

  it.each([1, 5, 16, 40])('slots that none of %i tokens choose keep their bits; the others move', async (count) => {
    const draw = new Draw('states');
    const state = {
      keys: Tensor.from(device, [1, H, M, DK], draw.normal(H * M * DK)),
      values: Tensor.from(device, [1, H, M, DV], draw.normal(H * M * DV)),
    };
    // The same slots score best in every token.
    const logits = tokens.logits.map((x, i) => x + (i % M < M / 2 ? 0 : 20));
    const { state: end } = run({ ...tokens, logits }, 0, count, state, null);
    const states = [state.keys, state.values, end.keys, end.values].map((x) => x.read());
    const [keys, values, endKeys, endValues] = await Promise.all(states);
    for (let slot = 0; slot < H * M; slot++) {
      const row = <X extends { subarray(from: number, to: number): X }>(x: X | undefined, width: number) =>
        (x as X).subarray(slot * width, (slot + 1) * width);
      const untouched = slot % M < M / 2;
      if (untouched) {
        expect(row(endKeys, DK)).toEqual(row(keys, DK));
        expect(row(endValues, DV)).toEqual(row(values, DV));
      } else expect(row(endKeys, DK)).not.toEqual(row(keys, DK));
    }
  });

  it('a slot is a mean of what was written: never larger than the largest key', async () => {
    const { state } = run(tokens, 0, T, null, null);
    const largest = tokens.k.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
    expect((await state.keys.read()).every((x) => Math.abs(x) <= largest * (1 + 1e-6))).toBe(true);
  });

  it('the router chooses by score, equal scores by the lowest index, and its weights sum to the decay', async () => {
    const logits = Tensor.from(device, [1, 1, 1, 6], [1, 3, 1, 1, -2, 3]);
    const one = Tensor.zeros(device, [1]);
    const z = Tensor.from(device, [1, 1, 1], [0.5]);
    const g = await slotGates(logits, z, one, one, null, 4).read();
    expect([...g].map((x) => x !== 0)).toEqual([true, true, true, false, false, true]);
    const sum = [...g].reduce((a, x) => a + x, 0);
    expect(Math.abs(sum + Math.log1p(Math.exp(0.5)))).toBeLessThan(1e-6);
  });
});
