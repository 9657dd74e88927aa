/** @file What chunked recurrences must keep on every device: causality, streaming, packing, exact recall, stable solve. */
import { describe, expect, it } from 'vitest';
import type { Device } from './device.ts';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { referenceDevice } from './devices/reference/device.ts';
import { deltaRule, gla, Positions, type Recurrence, shortConv } from './ops/index.ts';
import { Tensor } from './tensor.ts';
import { Draw } from './testing/case.ts';
import { relativeError } from './testing/compare.ts';

const [H, DK, DV] = [2, 16, 32];
const CONV_WIDTH = 4;

interface Tokens {
  T: number;
  q: Float64Array;
  k: Float64Array;
  v: Float64Array;
  gate: Float64Array;
}

/** A layer as the streaming and causality tests see it: tokens and a state in, outputs and the next state out. */
interface Layer {
  name: string;
  /** Widths of one token's rows of q, k, v and gate. */
  widths: [number, number, number, number];
  draw(T: number, seed: string): Tokens;
  run(device: Device, tokens: Tokens, state: Tensor | null, positions: Int32Array | null): Recurrence;
}

const recurrences = ([deltaRule, gla] as const).map((rule): Layer => {
  const gateWidth = rule === gla ? H * DK : H;
  return {
    name: rule === gla ? 'gla' : 'delta rule',
    widths: [H * DK, H * DK, H * DV, gateWidth],
    draw(T, seed) {
      const draw = new Draw(seed);
      const gate = rule === gla ? draw.uniform(T * gateWidth, -0.3, 0) : draw.uniform(T * gateWidth, 0, 1);
      return { T, q: draw.units(T * H, DK), k: draw.units(T * H, DK), v: draw.normal(T * H * DV), gate };
    },
    run(device, { T, q, k, v, gate }, state, positions) {
      const tensor = (width: number, data: Float64Array) => Tensor.from(device, [1, T, H, width], data);
      const at = positions && new Positions(device, 1, T, positions);
      return rule(tensor(DK, q), tensor(DK, k), tensor(DV, v), tensor(gateWidth / H, gate), state, at);
    },
  };
});

/** Uses q as its input and the others as nothing. */
const convolution: Layer = {
  name: 'short convolution',
  widths: [H * DK, 0, 0, 0],
  draw(T, seed) {
    const empty = new Float64Array(0);
    return { T, q: new Draw(seed).normal(T * H * DK), k: empty, v: empty, gate: empty };
  },
  run(device, { T, q }, state, positions) {
    const w = Tensor.from(device, [H * DK, 1, CONV_WIDTH], new Draw('taps').normal(H * DK * CONV_WIDTH));
    const at = positions && new Positions(device, 1, T, positions);
    const { y, state: next } = shortConv(Tensor.from(device, [1, T, H * DK], q), w, state, at);
    return { out: y, state: next };
  },
};

const LAYERS = [...recurrences, convolution];

/** Tokens [from, to) of a sequence. */
function slice({ widths }: Layer, tokens: Tokens, from: number, to: number): Tokens {
  const cut = (data: Float64Array, i: number) => data.slice(from * (widths[i] as number), to * (widths[i] as number));
  return { T: to - from, q: cut(tokens.q, 0), k: cut(tokens.k, 1), v: cut(tokens.v, 2), gate: cut(tokens.gate, 3) };
}

const DEVICES = [
  { device: referenceDevice({ precision: 'f64' }), tolerance: 1e-12 },
  ...(nativeAvailable() ? [{ device: nativeDevice(), tolerance: 2e-6 }] : []),
].map((one) => ({ ...one, name: one.device.name }));

describe.each(DEVICES)('$name device', ({ device, tolerance }) => {
  describe.each(LAYERS)('$name', (layer) => {
    const T = 130;
    const tokens = layer.draw(T, layer.name);

    it.each([1, 15, 63, 64, 100, 129])('outputs before token %i do not depend on it, bit for bit', async (from) => {
      const other = layer.draw(T, 'other');
      const changed = { ...tokens };
      for (const [i, part] of (['q', 'k', 'v', 'gate'] as const).entries()) {
        changed[part] = tokens[part].slice();
        const at = from * (layer.widths[i] as number);
        changed[part].set(other[part].subarray(at), at);
      }
      const before = await layer.run(device, tokens, null, null).out.read();
      const after = await layer.run(device, changed, null, null).out.read();
      const end = (before.length / T) * from;
      expect(after.subarray(0, end)).toEqual(before.subarray(0, end));
      expect(after.subarray(end)).not.toEqual(before.subarray(end));
    });

    it.each([1, 7, 64, 100])('streaming in blocks of %i gives the whole', async (block) => {
      const whole = layer.run(device, tokens, null, null);
      const parts: number[] = [];
      let state: Tensor | null = null;
      for (let t = 0; t < T; t += block) {
        const piece = layer.run(device, slice(layer, tokens, t, Math.min(t + block, T)), state, null);
        parts.push(...(await piece.out.read()));
        state = piece.state;
      }
      expect(relativeError(Float64Array.from(parts), await whole.out.read())).toBeLessThan(tolerance);
      expect(relativeError(await (state as Tensor).read(), await whole.state.read())).toBeLessThan(tolerance);
    });

    it('a packed segment gives what it gives alone', async () => {
      const cut = 41;
      const positions = Int32Array.from({ length: T }, (_, t) => (t < cut ? t : t - cut));
      const packed = await layer.run(device, tokens, null, positions).out.read();
      const alone = await layer.run(device, slice(layer, tokens, cut, T), null, positions.slice(cut)).out.read();
      expect(packed.subarray((packed.length / T) * cut)).toEqual(alone);
    });
  });

  it('delta rule: 64 equal keys with alpha 0.95 are solved to 1e-6', async () => {
    const T = 64;
    const draw = new Draw('repeated key');
    const key = draw.units(1, DK);
    const k = Float64Array.from({ length: T * DK }, (_, i) => key[i % DK] as number);
    const v = draw.normal(T * DV);
    const tensor = (width: number, data: Float64Array) => Tensor.from(device, [1, T, 1, width], data);
    const alpha = Float64Array.from({ length: T }, () => Math.fround(0.95));
    const { out } = deltaRule(tensor(DK, k), tensor(DK, k), tensor(DV, v), tensor(1, alpha), null, null);
    // Along one unit key the rule is r <- r + alpha (v - r), and reading with that key gives r.
    const lambda = key.reduce((sum, x) => sum + x ** 2, 0);
    const expected = new Float64Array(T * DV);
    for (let j = 0; j < DV; j++) {
      let recalled = 0;
      for (let t = 0; t < T; t++) {
        recalled += (alpha[t] as number) * lambda * ((v[t * DV + j] as number) - recalled);
        expected[t * DV + j] = recalled;
      }
    }
    expect(relativeError(await out.read(), expected)).toBeLessThan(1e-6);
  });

  it('delta rule: a key written with full strength recalls its value, whatever was written before', async () => {
    const draw = new Draw('recall');
    const T = 100;
    const k = draw.units(T, DK);
    const v = draw.normal(T * DV);
    const alpha = Float64Array.from({ length: T }, (_, t) => {
      const row = k.subarray(t * DK, (t + 1) * DK);
      return Math.fround(1 / row.reduce((sum, x) => sum + x ** 2, 0));
    });
    const tensor = (width: number, data: Float64Array) => Tensor.from(device, [1, T, 1, width], data);
    const { out } = deltaRule(tensor(DK, k), tensor(DK, k), tensor(DV, v), tensor(1, alpha), null, null);
    expect(relativeError(await out.read(), v)).toBeLessThan(2e-6);
  });

  it('gla: decay that underflows forgets cleanly', async () => {
    const T = 70;
    const draw = new Draw('underflow');
    const tensor = (width: number, data: Float64Array) => Tensor.from(device, [1, T, 1, width], data);
    const [q, k, v] = [draw.units(T, DK), draw.units(T, DK), draw.normal(T * DV)];
    const gate = new Float64Array(T * DK).fill(-1e4);
    const { out } = gla(tensor(DK, q), tensor(DK, k), tensor(DV, v), tensor(DK, gate), null, null);
    const expected = v.map((x, i) => {
      const t = Math.floor(i / DV);
      let score = 0;
      for (let c = 0; c < DK; c++) score += (q[t * DK + c] as number) * (k[t * DK + c] as number);
      return score * x;
    });
    expect(relativeError(await out.read(), expected)).toBeLessThan(2e-6);
  });
});
