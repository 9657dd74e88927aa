/** @file Quasar attention in every variant: against plain loops, its gradients, blocks with a state, packed documents. */
import { type Device, nativeAvailable, nativeDevice, referenceDevice } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import {
  drawInputs,
  drawWeights,
  type Layer,
  layerGradientErrors,
  runBlocks,
  runLayer,
  sliceInputs,
  toDevice,
} from '../testing/layer.ts';
import { plainQuasarAttention } from '../testing/plain-quasar-attention.ts';
import { maxDifference, relativeError } from '../testing/tiny.ts';
import { type QuasarAttentionOptions, quasarAttention, quasarAttentionTensors } from './quasar-attention.ts';

const [D, T] = [24, 70];
const EXACT: QuasarAttentionOptions = {
  at: 'attn',
  heads: 2,
  headDim: 16,
  convSize: 0,
  rotates: false,
  isGuarded: false,
  normEps: 1e-5,
  quasar_variant: 'exact',
  quasar_beta: 'softplus',
  qk_l2norm: true,
  quasar_decay: 'none',
};
const PREVIEW = { ...EXACT, isGuarded: true, normEps: 1e-6 };

/** Every variant, each kind of beta, norm and decay at least once. */
const VARIANTS: Record<string, QuasarAttentionOptions> = {
  exact: { ...EXACT, convSize: 4, rotates: true },
  'exact, sigmoid, keys of any length': { ...EXACT, quasar_beta: 'sigmoid', qk_l2norm: false },
  'exact, static, keys of any length, channel decay': {
    ...EXACT,
    quasar_beta: 'static',
    qk_l2norm: false,
    quasar_decay: 'channel',
  },
  'exact, scalar decay': { ...EXACT, quasar_decay: 'scalar', rotates: true },
  'exact, sigmoid, scalar decay, guarded': { ...PREVIEW, quasar_beta: 'sigmoid', quasar_decay: 'scalar' },
  preview_chunk: { ...PREVIEW, quasar_variant: 'preview_chunk' },
  'preview_recurrent, rotated': { ...PREVIEW, quasar_variant: 'preview_recurrent', rotates: true },
  fork_v1: { ...EXACT, quasar_variant: 'fork_v1', convSize: 4 },
};

const rotation = { theta: 100, rotary: 16 };
const layerOf =
  (options: QuasarAttentionOptions): Layer =>
  ({ hidden }, c) =>
    quasarAttention(hidden, c, options);
const init = { kind: 'constant', value: 0 } as const;
const entriesOf = (options: QuasarAttentionOptions) =>
  quasarAttentionTensors(D, options, { projection: () => init, output: init });

const reference = referenceDevice({ precision: 'f64' });
const inputs = drawInputs(2, T, D, 'quasar attention');

describe.each(Object.entries(VARIANTS))('%s', (name, options) => {
  const layer = layerOf(options);
  const entries = entriesOf(options);
  const weights = drawWeights(entries, name);
  const on = (device: Device) => toDevice(device, entries, weights);
  const whole = (device: Device) => runLayer(layer, on(device), inputs, { rotation }).y.read();

  it('computes the equations', async () => {
    const width = T * D;
    const plain = [0, 1].flatMap((b) => {
      const rows = Array.from({ length: T }, (_, t) => [
        ...inputs.hidden.slice(b * width + t * D, b * width + (t + 1) * D),
      ]);
      const get = (weight: string) => weights.get(`attn.${weight}`) as Float64Array;
      return plainQuasarAttention(rows, options, get, options.rotates ? rotation : null).flat();
    });
    expect(relativeError(await whole(reference), plain)).toBeLessThan(1e-10);
  });

  it('gradients agree with finite differences', async () => {
    const short = sliceInputs(drawInputs(1, 9, D, name), 0, 9);
    const errors = await layerGradientErrors(layer, on(reference), short, rotation);
    for (const [weight, error] of Object.entries(errors)) expect(error, weight).toBeLessThan(2e-7);
  });

  it.each([1, 7, 64])('blocks of %i give the whole', async (block) => {
    expect(
      relativeError(await runBlocks(layer, on(reference), inputs, block, rotation), await whole(reference)),
    ).toBeLessThan(1e-12);
  });

  it('a packed document gives what it gives alone', async () => {
    const cut = 41;
    const positions = inputs.positions.map((t) => (t < cut ? t : t - cut));
    const packed = await runLayer(layer, on(reference), { ...inputs, positions }, { rotation }).y.read();
    const second = sliceInputs({ ...inputs, positions }, cut, T);
    const alone = await runLayer(layer, on(reference), second, { rotation }).y.read();
    for (const b of [0, 1]) {
      const from = (b * T + cut) * D;
      expect(
        maxDifference(packed.slice(from, (b + 1) * T * D), alone.slice(b * (T - cut) * D, (b + 1) * (T - cut) * D)),
      ).toBe(0);
    }
  });

  it.skipIf(!nativeAvailable())('native agrees', async () => {
    expect(relativeError(await whole(nativeDevice()), await whole(reference))).toBeLessThan(2e-6);
  });
});

describe('guards of Quasar-Preview', () => {
  const options = VARIANTS.preview_chunk as QuasarAttentionOptions;
  const entries = entriesOf(options);

  it('an input of any scale gives nearly the same, and one that is not a number counts as 0', async () => {
    const weights = toDevice(reference, entries, drawWeights(entries, 'guards'));
    const one = drawInputs(1, 5, D, 'guards');
    const run = (hidden: Float64Array) => runLayer(layerOf(options), weights, { ...one, hidden }).y.read();
    const y = await run(one.hidden);
    expect(relativeError(await run(one.hidden.map((x) => 10 * x)), y)).toBeLessThan(1e-6);
    const withNaN = one.hidden.map((x, i) => (i === 3 ? Number.NaN : x));
    expect(await run(withNaN)).toEqual(await run(one.hidden.map((x, i) => (i === 3 ? 0 : x))));
  });

  it('a fresh rate of decay puts the write gate of the chunk form at its bound', async () => {
    const gate = (low: number) => {
      const weights = drawWeights(entries, 'bound', { 'attn.A_log': () => low });
      return runLayer(layerOf(options), toDevice(reference, entries, weights), inputs).y.read();
    };
    expect(await gate(3)).toEqual(await gate(4));
    expect(await gate(0)).not.toEqual(await gate(3));
  });
});
