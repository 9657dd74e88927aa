/** @file Gates of the forward pass: causality, train equals evaluation, devices agree, loops, refused input. */
import { gradients, nativeAvailable, nativeDevice, openDevice, referenceDevice, scope, Tensor } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { forward, vocabularyLogits } from '../../forward.ts';
import { disposeParameters } from '../../parameters.ts';
import { ModelState } from '../../state.ts';
import { plainLogits } from '../../testing/plain-model.ts';
import { logitsOf, maxDifference, randomTokens, TINY, tinyParameters } from '../../testing/tiny.ts';
import { SIZES } from '../index.ts';
import type { QuasarConfig } from './config.ts';

const oracle = referenceDevice({ precision: 'f64' });
const DEVICES = { 'float64 oracle': oracle, 'best device': openDevice('auto') };
const V = TINY.vocab_size;

describe('the equations written out token by token', () => {
  it.each<[string, Partial<QuasarConfig>]>([
    ['all kinds of layers', {}],
    ['two loops with injection', { num_loops: 2, use_looped_injection: true }],
    ['gla first, without short convolutions', { use_gla_first: true, use_short_conv: false }],
    ['two shared experts, all experts chosen', { num_shared_experts: 2, top_k: 4 }],
    ['no shared expert', { num_shared_experts: 0 }],
  ])('%s', async (_, change) => {
    const config = { ...TINY, ...change };
    const parameters = await tinyParameters(oracle, config);
    const weights = new Map<string, ArrayLike<number>>();
    for (const [name, tensor] of parameters) weights.set(name, await tensor.read());
    const tokens = randomTokens(6, V, 'equations');
    const expected = plainLogits(config, weights, tokens).flat();
    expect(maxDifference(await logitsOf(config, parameters, { tokens, B: 1, T: 6 }), expected)).toBeLessThan(1e-10);
  });
});

describe.each(Object.entries(DEVICES))('%s', (_, device) => {
  it('a token never changes what came before it, bit for bit', async () => {
    const parameters = await tinyParameters(device);
    const [B, T] = device === oracle ? [2, 24] : [2, 150];
    const tokens = randomTokens(B * T, V, 'causality');
    const before = await logitsOf(TINY, parameters, { tokens, B, T });
    for (const t of device === oracle ? [11] : [0, 1, 63, 64, 100, T - 1]) {
      const changed = tokens.slice();
      for (let i = t; i < T; i++) changed[i] = ((changed[i] as number) + 1 + i) % V;
      const after = await logitsOf(TINY, parameters, { tokens: changed, B, T });
      const difference = (from: number, to: number) =>
        maxDifference(after.subarray(from * V, to * V), before.subarray(from * V, to * V));
      expect(difference(0, t), `row 0 before token ${t}`).toBe(0);
      expect(difference(T, 2 * T), `row 1 when token ${t} of row 0 changes`).toBe(0);
      expect(difference(t, t + 1), `token ${t}`).toBeGreaterThan(0);
    }
  });

  it('training computes what evaluation computes, bit for bit', async () => {
    const parameters = await tinyParameters(device);
    const [B, T] = [1, 20];
    const tokens = randomTokens(B * T, V, 'train');
    const evaluated = await logitsOf(TINY, parameters, { tokens, B, T });
    const trained = [...parameters.values()];
    for (const p of trained) p.requiresGrad = true;
    const { value } = gradients(trained, () => {
      const out = forward(TINY, parameters, { tokens, B, T });
      return { loss: out.aux.routerLoss as Tensor, logits: vocabularyLogits(parameters, out.hidden) };
    });
    expect(maxDifference(await value.logits.read(), evaluated)).toBe(0);
  });

  it('injection through closed gates leaves a looped model as it is', async () => {
    const config = { ...TINY, num_loops: 2 };
    const parameters = await tinyParameters(device, config);
    for (let layer = 0; layer < config.n_layers; layer++)
      parameters.get(`model.layers.${layer}.injection_gate`)?.write([Number.NEGATIVE_INFINITY]);
    const block = { tokens: randomTokens(10, V, 'gate'), B: 1, T: 10 };
    const plain = await logitsOf(config, parameters, block);
    const injected = await logitsOf({ ...config, use_looped_injection: true }, parameters, block);
    expect(maxDifference(injected, plain)).toBe(0);
    for (let layer = 0; layer < config.n_layers; layer++)
      parameters.get(`model.layers.${layer}.injection_gate`)?.write([0]);
    const open = await logitsOf({ ...config, use_looped_injection: true }, parameters, block);
    expect(maxDifference(open, plain)).toBeGreaterThan(1e-3);
  });
});

it.skipIf(!nativeAvailable())('float32 kernels agree with the float64 oracle', async () => {
  const [B, T] = [1, 130];
  const block = { tokens: randomTokens(B * T, V, 'parity'), B, T };
  const expected = await logitsOf(TINY, await tinyParameters(oracle), block);
  const native = await logitsOf(TINY, await tinyParameters(nativeDevice()), block);
  const scale = Math.hypot(...expected) / Math.sqrt(expected.length);
  expect(maxDifference(native, expected) / scale).toBeLessThan(2e-5);
});

it('without positions the order of tokens still counts, only less', async () => {
  const parameters = await tinyParameters(oracle);
  const block = { tokens: randomTokens(20, V, 'nope'), B: 1, T: 20 };
  const rope = await logitsOf(TINY, parameters, block);
  const none = await logitsOf(TINY, parameters, { ...block, positional: 'none' });
  expect(maxDifference(none.subarray(0, V), rope.subarray(0, V))).toBe(0);
  expect(maxDifference(none, rope)).toBeGreaterThan(1e-6);
});

it('a forward pass outside of training frees all but its results', async () => {
  const live = new Set<unknown>();
  const counting = countingDevice(live);
  const parameters = await tinyParameters(counting);
  const before = live.size;
  const out = scope(() => forward(TINY, parameters, { tokens: randomTokens(10, V, 'free'), B: 1, T: 10 }));
  const kept = 1 + out.state.tensors.size + out.aux.counts.length + 1;
  expect(live.size - before).toBe(kept);
  for (const t of [out.hidden, ...out.aux.counts, out.aux.routerLoss]) t?.dispose();
  out.state.dispose();
  disposeParameters(parameters);
  expect(live.size).toBe(0);
});

describe('refused input', async () => {
  const parameters = await tinyParameters(oracle);
  const tokens = Int32Array.of(1, 2, 3, 4);
  const state = new ModelState(new Int32Array(3), new Map());
  it.each([
    ['a token above the vocabulary', { tokens: Int32Array.of(1, V), B: 1, T: 2 }, 'model.token_out_of_range'],
    ['a negative token', { tokens: Int32Array.of(-1), B: 1, T: 1 }, 'model.token_out_of_range'],
    ['no tokens', { tokens: new Int32Array(0), B: 0, T: 4 }, 'model.wrong_block'],
    ['too few tokens', { tokens, B: 2, T: 3 }, 'model.wrong_block'],
    ['too few positions', { tokens, B: 2, T: 2, positions: Int32Array.of(0) }, 'model.wrong_block'],
    ['a state of another batch', { tokens, B: 2, T: 2, state }, 'model.wrong_block'],
  ])('%s', (_, input, code) => {
    expect(() => scope(() => forward(TINY, parameters, input))).toThrow(expect.objectContaining({ code }));
  });

  it('latent memory, a missing weight, a row that is not there', () => {
    const block = { tokens, B: 2, T: 2 };
    const code = (code: string) => expect.objectContaining({ code });
    expect(() => forward(SIZES['3b'], parameters, block)).toThrow(code('model.unsupported'));
    const without = new Map([...parameters].filter(([name]) => !name.endsWith('layers.3.ln2.weight')));
    expect(() => scope(() => forward(TINY, without, block))).toThrow(code('checkpoint.missing_tensor'));
    const hidden = Tensor.zeros(oracle, [1, 4, TINY.d_model]);
    for (const row of [-1, 4])
      expect(() => vocabularyLogits(parameters, hidden, Int32Array.of(0, row))).toThrow(code('model.row_out_of_range'));
  });
});

/** The reference device, with its live buffers in `live`. */
function countingDevice(live: Set<unknown>) {
  const device = referenceDevice({ precision: 'f32' });
  return {
    ...device,
    allocate(...[dtype, length]: Parameters<typeof device.allocate>) {
      const buffer = device.allocate(dtype, length);
      live.add(buffer);
      return buffer;
    },
    free(buffer: Parameters<typeof device.free>[0]) {
      live.delete(buffer);
      device.free(buffer);
    },
  };
}
