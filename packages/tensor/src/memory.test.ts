/** @file What latent memory must keep on every device: causality, streaming, packing, bounds. */
import { describe, expect, it } from 'vitest';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { referenceDevice } from './devices/reference/device.ts';
import { latentMemory, type MemoryState, Positions } from './ops/index.ts';
import { Tensor } from './tensor.ts';
import { Draw } from './testing/case.ts';
import { relativeError } from './testing/compare.ts';

const [T, K, D] = [200, 16, 32];

function drawTokens(seed: string) {
  const draw = new Draw(seed);
  return { m: draw.normal(T * D), eta: draw.uniform(T, 0, 1), q: draw.normal(T * D) };
}
type Tokens = ReturnType<typeof drawTokens>;

const DEVICES = [
  { device: referenceDevice({ precision: 'f64' }), tolerance: 1e-12 },
  ...(nativeAvailable() ? [{ device: nativeDevice(), tolerance: 2e-6 }] : []),
].map((one) => ({ ...one, name: one.device.name }));

describe.each(DEVICES)('$name device', ({ device, tolerance }) => {
  const tokens = drawTokens('memory');
  const draw = new Draw('weights');
  const weights = {
    query: Tensor.from(device, [D], draw.normal(D)),
    channels: Tensor.from(device, [D], draw.normal(D)),
    temperature: Tensor.from(device, [1], [1]),
    initial: Tensor.from(device, [K, D], draw.units(K, D)),
  };

  /** Tokens [from, to) after `state`; token t has position t - origin. */
  function run({ m, eta, q }: Tokens, from: number, to: number, state: MemoryState | null, origin = 0) {
    const count = to - from;
    const rows = (x: Float64Array) => Tensor.from(device, [1, count, D], x.subarray(from * D, to * D));
    const positions = new Positions(
      device,
      1,
      count,
      Int32Array.from({ length: count }, (_, i) => (from + i < origin ? from + i : from + i - origin)),
    );
    const saliency = Tensor.from(device, [1, count], eta.subarray(from, to));
    return latentMemory(rows(m), saliency, rows(q), weights, state, positions);
  }

  it.each([1, 63, 64, 65, 128, 199])('outputs before token %i do not depend on it, bit for bit', async (from) => {
    const other = drawTokens('other');
    const changed = { m: tokens.m.slice(), eta: tokens.eta.slice(), q: tokens.q.slice() };
    changed.m.set(other.m.subarray(from * D), from * D);
    changed.eta.set(other.eta.subarray(from), from);
    changed.q.set(other.q.subarray(from * D), from * D);
    const before = await run(tokens, 0, T, null).out.read();
    const after = await run(changed, 0, T, null).out.read();
    expect(after.subarray(0, from * D)).toEqual(before.subarray(0, from * D));
    expect(after.subarray(from * D)).not.toEqual(before.subarray(from * D));
  });

  it('a segment is read after its last token, not before', async () => {
    const changed = { ...tokens, m: tokens.m.slice() };
    changed.m[5 * D] += 1;
    const before = await run(tokens, 0, T, null).out.read();
    const after = await run(changed, 0, T, null).out.read();
    expect(after.subarray(0, 64 * D)).toEqual(before.subarray(0, 64 * D));
    expect(after.subarray(64 * D, 65 * D)).not.toEqual(before.subarray(64 * D, 65 * D));
  });

  it.each([1, 7, 63, 64, 100])('streaming in blocks of %i gives the whole', async (block) => {
    const whole = run(tokens, 0, T, null);
    const parts: number[] = [];
    let state: MemoryState | null = null;
    for (let t = 0; t < T; t += block) {
      const piece = run(tokens, t, Math.min(t + block, T), state);
      parts.push(...(await piece.out.read()));
      state = piece.state;
    }
    const end = state as MemoryState;
    expect(relativeError(Float64Array.from(parts), await whole.out.read())).toBeLessThan(tolerance);
    expect(relativeError(await end.memory.read(), await whole.state.memory.read())).toBeLessThan(tolerance);
    expect(await end.open.read()).toEqual(await whole.state.open.read());
  });

  it('a packed document gives what it gives alone, and ends with its memory', async () => {
    const cut = 71;
    const packed = run(tokens, 0, T, null, cut);
    const alone = run(tokens, cut, T, null, cut);
    expect((await packed.out.read()).subarray(cut * D)).toEqual(await alone.out.read());
    expect(await packed.state.memory.read()).toEqual(await alone.state.memory.read());
  });

  it('the memory stays within what was written and what it began with', async () => {
    const { state } = run(tokens, 0, T, null);
    const largest = tokens.m.reduce((a, x) => Math.max(a, Math.abs(x)), 1);
    const memory = await state.memory.read();
    expect(memory.every((x) => Math.abs(x) <= largest)).toBe(true);
    expect(memory).not.toEqual(await weights.initial.read());
  });
});
