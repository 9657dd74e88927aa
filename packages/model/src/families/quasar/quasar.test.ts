/** @file The forward pass: its equations, ways to know positions, memory, refused input. */
import { referenceDevice, scope, Tensor } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { forward, vocabularyLogits } from '../../forward.ts';
import { disposeParameters } from '../../parameters.ts';
import { ModelState } from '../../state.ts';
import { plainLogits } from '../../testing/plain-model.ts';
import { logitsOf, maxDifference, randomTokens, TINY, tinyParameters } from '../../testing/tiny.ts';
import { SIZES } from '../index.ts';
import type { QuasarConfig } from './config.ts';

const oracle = referenceDevice({ precision: 'f64' });
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

it('without positions the order of tokens still counts, only less', async () => {
  const parameters = await tinyParameters(oracle);
  const block = { tokens: randomTokens(20, V, 'nope'), B: 1, T: 20 };
  const rope = await logitsOf(TINY, parameters, block);
  const none = await logitsOf(TINY, parameters, { ...block, positional: { mode: 'nope' } });
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
