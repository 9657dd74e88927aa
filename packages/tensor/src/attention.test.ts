/** @file What softmax attention and its rotation must keep on every device: causality, packing, caches, far positions. */
import { describe, expect, it } from 'vitest';
import type { Device } from './device.ts';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { referenceDevice } from './devices/reference/device.ts';
import { attention, Positions, rope } from './ops/index.ts';
import { Tensor } from './tensor.ts';
import { Draw } from './testing/case.ts';
import { relativeError } from './testing/compare.ts';

const [T, H, HK, D] = [150, 4, 2, 16];

const DEVICES = [
  { device: referenceDevice({ precision: 'f64' }), tolerance: 1e-12 },
  ...(nativeAvailable() ? [{ device: nativeDevice(), tolerance: 2e-6 }] : []),
].map((one) => ({ ...one, name: one.device.name }));

describe.each(DEVICES)('$name device', ({ device, tolerance }) => {
  const draw = new Draw('attention');
  const [q, k, v] = [draw.normal(T * H * D), draw.normal(T * HK * D), draw.normal(T * HK * D)];
  const rows = (x: Float64Array, heads: number, from: number, to: number, on: Device = device) =>
    Tensor.from(on, [1, to - from, heads, D], x.subarray(from * heads * D, to * heads * D));
  const whole = () => attention(rows(q, H, 0, T), rows(k, HK, 0, T), rows(v, HK, 0, T), null).read();

  it.each([1, 15, 64, 100, 149])('outputs before token %i do not depend on it, bit for bit', async (from) => {
    const other = new Draw('other');
    const change = (x: Float64Array, heads: number) => {
      const changed = x.slice();
      changed.set(other.normal(x.length - from * heads * D), from * heads * D);
      return rows(changed, heads, 0, T);
    };
    const before = await whole();
    const after = await attention(change(q, H), change(k, HK), change(v, HK), null).read();
    expect(after.subarray(0, from * H * D)).toEqual(before.subarray(0, from * H * D));
    expect(after.subarray(from * H * D)).not.toEqual(before.subarray(from * H * D));
  });

  it.each([1, 7, 64, 100])('blocks of %i over a growing cache give the whole', async (block) => {
    const [cachedK, cachedV] = [rows(k, HK, 0, T), rows(v, HK, 0, T)];
    const parts: number[] = [];
    for (let t = 0; t < T; t += block) {
      const length = Math.min(t + block, T);
      const positions = new Positions(
        device,
        1,
        length - t,
        Int32Array.from({ length: length - t }, (_, i) => t + i),
      );
      parts.push(...(await attention(rows(q, H, t, length), cachedK, cachedV, positions, { length }).read()));
    }
    expect(relativeError(Float64Array.from(parts), await whole())).toBeLessThan(tolerance);
  });

  it('a packed segment gives what it gives alone', async () => {
    const cut = 41;
    const positions = new Positions(
      device,
      1,
      T,
      Int32Array.from({ length: T }, (_, t) => (t < cut ? t : t - cut)),
    );
    const packed = await attention(rows(q, H, 0, T), rows(k, HK, 0, T), rows(v, HK, 0, T), positions).read();
    const alone = await attention(rows(q, H, cut, T), rows(k, HK, cut, T), rows(v, HK, cut, T), null).read();
    expect(relativeError(packed.subarray(cut * H * D), alone)).toBeLessThan(tolerance);
  });

  it('scores of any size stay finite', async () => {
    const large = q.map((x) => Math.fround(x * 1e18));
    const out = await attention(rows(large, H, 0, T), rows(k, HK, 0, T), rows(v, HK, 0, T), null).read();
    expect(out.every(Number.isFinite)).toBe(true);
  });

  it('rope: angles at position 5e6 are exact to float', async () => {
    const [theta, rotary, position] = [10_000, 64, 5_000_003];
    const x = Tensor.from(
      device,
      [1, 1, 1, rotary],
      Float64Array.from({ length: rotary }, (_, j) => Number(j < rotary / 2)),
    );
    const y = await rope(x, new Positions(device, 1, 1, Int32Array.of(position)), { theta, rotary }).read();
    for (let j = 0; j < rotary / 2; j++) {
      const angle = position * theta ** ((-2 * j) / rotary);
      expect(Math.abs((y[j] as number) - Math.cos(angle))).toBeLessThan(1e-7);
      expect(Math.abs((y[j + rotary / 2] as number) - Math.sin(angle))).toBeLessThan(1e-7);
    }
  });

  it('rope: from the cutoff on, rows pass bit for bit; scores before it depend on distance only', async () => {
    const x = rows(q, H, 0, T);
    const at = (first: number) =>
      new Positions(
        device,
        1,
        T,
        Int32Array.from({ length: T }, (_, t) => first + t),
      );
    const rotation = { theta: 10_000, rotary: 8, cutoff: 100 };
    const y = await rope(x, at(0), rotation).read();
    expect(y.subarray(100 * H * D)).toEqual((await x.read()).subarray(100 * H * D));
    expect(y[3 * H * D]).not.toBe((await x.read())[3 * H * D]);
    const score = (turned: Float32Array | Float64Array | Int32Array) => {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += (turned[3 * H * D + d] as number) * (turned[9 * H * D + d] as number);
      return sum;
    };
    const later = await rope(x, at(80), rotation).read();
    expect(Math.abs(score(later) - score(y))).toBeLessThan(1e-5);
  });
});
