/** @file What chunked recurrences must keep on every device: causality, streaming, packing, exact recall, stable solve. */
import { describe, expect, it } from 'vitest';
import type { Device } from './device.ts';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { referenceDevice } from './devices/reference/device.ts';
import {
  axpby,
  deltaRule,
  gla,
  linear,
  Positions,
  type Recurrence,
  type RecurrenceOptions,
  reshape,
  shortConv,
  simpleGla,
} from './ops/index.ts';
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
  run(device: Device, tokens: Tokens, options: RecurrenceOptions): Recurrence;
}

type Rule = (q: Tensor, k: Tensor, v: Tensor, gate: Tensor, options: RecurrenceOptions) => Recurrence;

/** Strengths from decays: any numbers in [0, 1] that belong to the tokens. */
const strength = (decay: Tensor) => axpby(1, Tensor.filled(decay.device, decay.shape, 1), 1, decay);

const channelDecay: Rule = (q, k, v, decay, options) => {
  const [B, T] = decay.shape as [number, number];
  const alpha = linear(decay, Tensor.filled(decay.device, [1, DK], -1 / DK)); // [B, T, H, DK] -> [B, T, H, 1]
  return deltaRule(q, k, v, reshape(alpha, [B, T, H]), { ...options, decay });
};

/** name, rule, width of one head's gate, lowest gate, highest gate */
const RULES: [string, Rule, number, number, number][] = [
  ['delta rule', deltaRule, 1, 0, 1],
  ['gated delta rule', (q, k, v, g, options) => deltaRule(q, k, v, strength(g), { ...options, decay: g }), 1, -0.3, 0],
  ['delta rule, decay per channel', channelDecay, DK, -0.3, 0],
  ['delta rule, strong decay per channel', channelDecay, DK, -9, 0],
  ['gla', gla, DK, -0.3, 0],
  ['gla, strong decay', gla, DK, -9, 0],
  ['simple gla', simpleGla, 1, -0.3, 0],
];

const recurrences = RULES.map(
  ([name, rule, gateWidth, low, high]): Layer => ({
    name,
    widths: [H * DK, H * DK, H * DV, H * gateWidth],
    draw(T, seed) {
      const draw = new Draw(seed);
      const [q, k, v] = [draw.units(T * H, DK), draw.units(T * H, DK), draw.normal(T * H * DV)];
      return { T, q, k, v, gate: draw.uniform(T * H * gateWidth, low, high) };
    },
    run(device, { T, q, k, v, gate }, options) {
      const tensor = (width: number, data: Float64Array) =>
        Tensor.from(device, width === 1 ? [1, T, H] : [1, T, H, width], data);
      return rule(tensor(DK, q), tensor(DK, k), tensor(DV, v), tensor(gateWidth, gate), options);
    },
  }),
);

/** Uses q as its input and the others as nothing. */
const convolution: Layer = {
  name: 'short convolution',
  widths: [H * DK, 0, 0, 0],
  draw(T, seed) {
    const empty = new Float64Array(0);
    return { T, q: new Draw(seed).normal(T * H * DK), k: empty, v: empty, gate: empty };
  },
  run(device, { T, q }, { state = null, positions = null }) {
    const w = Tensor.from(device, [H * DK, 1, CONV_WIDTH], new Draw('taps').normal(H * DK * CONV_WIDTH));
    const { y, state: next } = shortConv(Tensor.from(device, [1, T, H * DK], q), w, state, positions);
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
      const before = await layer.run(device, tokens, {}).out.read();
      const after = await layer.run(device, changed, {}).out.read();
      const end = (before.length / T) * from;
      expect(after.subarray(0, end)).toEqual(before.subarray(0, end));
      expect(after.subarray(end)).not.toEqual(before.subarray(end));
    });

    it.each([1, 7, 64, 100])('streaming in blocks of %i gives the whole', async (block) => {
      const whole = layer.run(device, tokens, {});
      const parts: number[] = [];
      let state: Tensor | null = null;
      for (let t = 0; t < T; t += block) {
        const piece = layer.run(device, slice(layer, tokens, t, Math.min(t + block, T)), { state });
        parts.push(...(await piece.out.read()));
        state = piece.state;
      }
      expect(relativeError(Float64Array.from(parts), await whole.out.read())).toBeLessThan(tolerance);
      expect(relativeError(await (state as Tensor).read(), await whole.state.read())).toBeLessThan(tolerance);
    });

    it('a packed segment gives what it gives alone', async () => {
      const cut = 41;
      const values = Int32Array.from({ length: T }, (_, t) => (t < cut ? t : t - cut));
      const positions = new Positions(device, 1, T, values);
      const packed = await layer.run(device, tokens, { positions }).out.read();
      const own = new Positions(device, 1, T - cut, values.slice(cut));
      const alone = await layer.run(device, slice(layer, tokens, cut, T), { positions: own }).out.read();
      expect(packed.subarray((packed.length / T) * cut)).toEqual(alone);
    });
  });

  it.each(recurrences)('$name: chunks of any length give the same', async (layer) => {
    const tokens = layer.draw(150, layer.name);
    const [first, ...others] = await Promise.all(
      [16, 32, 64, 128].map(async (chunk) => {
        const { out, state } = layer.run(device, tokens, { chunk });
        return [await out.read(), await state.read()];
      }),
    );
    for (const other of others) {
      other.forEach((x, i) => {
        expect(relativeError(x, first?.[i] as typeof x)).toBeLessThan(tolerance);
      });
    }
  });

  it('gates of 0 are no decay', async () => {
    const T = 100;
    const draw = new Draw('no decay');
    const tensor = (data: Float64Array, ...shape: number[]) => Tensor.from(device, [1, T, H, ...shape], data);
    const [q, k, v] = [draw.units(T * H, DK), draw.units(T * H, DK), draw.normal(T * H * DV)];
    const [queries, keys, values] = [tensor(q, DK), tensor(k, DK), tensor(v, DV)];
    const alpha = tensor(draw.uniform(T * H, 0, 1));
    const [head, channel] = [Tensor.zeros(device, [1, T, H]), Tensor.zeros(device, [1, T, H, DK])];
    const plain = await deltaRule(queries, keys, values, alpha).out.read();
    for (const decay of [head, channel])
      expect(relativeError(await deltaRule(queries, keys, values, alpha, { decay }).out.read(), plain)).toBeLessThan(
        tolerance,
      );
    const added = await gla(queries, keys, values, channel).out.read();
    const simple = await simpleGla(queries, keys, values, Tensor.zeros(device, [H])).out.read();
    expect(relativeError(added, simple)).toBeLessThan(tolerance);
  });

  it('delta rule: 64 equal keys with alpha 0.95 are solved to 1e-6', async () => {
    const T = 64;
    const draw = new Draw('repeated key');
    const key = draw.units(1, DK);
    const k = Float64Array.from({ length: T * DK }, (_, i) => key[i % DK] as number);
    const v = draw.normal(T * DV);
    const tensor = (width: number, data: Float64Array) => Tensor.from(device, [1, T, 1, width], data);
    const alpha = Float64Array.from({ length: T }, () => Math.fround(0.95));
    const { out } = deltaRule(tensor(DK, k), tensor(DK, k), tensor(DV, v), tensor(1, alpha));
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
    const { out } = deltaRule(tensor(DK, k), tensor(DK, k), tensor(DV, v), tensor(1, alpha));
    expect(relativeError(await out.read(), v)).toBeLessThan(2e-6);
  });

  it('gla: decay that underflows forgets cleanly', async () => {
    const T = 70;
    const draw = new Draw('underflow');
    const tensor = (width: number, data: Float64Array) => Tensor.from(device, [1, T, 1, width], data);
    const [q, k, v] = [draw.units(T, DK), draw.units(T, DK), draw.normal(T * DV)];
    const gate = new Float64Array(T * DK).fill(-1e4);
    const { out } = gla(tensor(DK, q), tensor(DK, k), tensor(DV, v), tensor(DK, gate));
    const expected = v.map((x, i) => {
      const t = Math.floor(i / DV);
      let score = 0;
      for (let c = 0; c < DK; c++) score += (q[t * DK + c] as number) * (k[t * DK + c] as number);
      return score * x;
    });
    expect(relativeError(await out.read(), expected)).toBeLessThan(2e-6);
  });
});
