/** @file The forward pass: its equations, ways to know positions, memory, refused input. */
import { gradients, referenceDevice, scope, Tensor, weightedSum } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { forward, vocabularyLogits } from '../../forward.ts';
import { disposeParameters } from '../../parameters.ts';
import { ModelState } from '../../state.ts';
import { plainModel } from '../../testing/plain-model.ts';
import { logitsOf, maxDifference, randomTokens, TINY, tinyParameters } from '../../testing/tiny.ts';
import type { QuasarConfig } from './config.ts';

const oracle = referenceDevice({ precision: 'f64' });
/** One GLA layer with a memory, one without experts. */
const MEMORY = { memory_slots: 16, memory_dim: 16, n_layers: 2, dense_input_layers: 2 } satisfies Partial<QuasarConfig>;
const V = TINY.vocab_size;

describe('the equations written out token by token', () => {
  const looped = { num_loops: 2, use_looped_injection: true };
  it.each<[string, Partial<QuasarConfig>, number?]>([
    ['all kinds of layers', {}],
    ['two loops with injection', looped],
    ['two loops with injection at their end', { ...looped, injection_site: 'loop_end' }],
    ['gla first, without short convolutions', { use_gla_first: true, use_short_conv: false }],
    ['two shared experts, all experts chosen', { num_shared_experts: 2, top_k: 4 }],
    ['no shared expert', { num_shared_experts: 0 }],
    ['routed experts as public evaluation scales them', { route_scale: 1 }],
    ['static hold times, keys of any length', { quasar_beta: 'static', qk_l2norm: false }],
    ['scalar decay', { quasar_beta: 'sigmoid', quasar_decay: 'scalar' }],
    ['channel decay', { quasar_decay: 'channel' }],
    ['a public variant', { quasar_variant: 'preview_recurrent' }],
    ['no rotation', { positional: 'nope' }],
    ['no rotation from position 3 on', { positional: 'safe_nope', nope_after_position: 3 }],
    ['latent memory', MEMORY, 150],
    ['latent memory that starts from a learned bank', { ...MEMORY, memory_bank: 'learned' }, 150],
    ['latent memory in its public form', { ...MEMORY, memory_mode: 'compat' }, 150],
  ])('%s', async (_, change, T = 6) => {
    const config = { ...TINY, ...change };
    const parameters = await tinyParameters(oracle, config);
    const weights = new Map<string, ArrayLike<number>>();
    for (const [name, tensor] of parameters) weights.set(name, await tensor.read());
    const tokens = randomTokens(T, V, 'equations');
    const expected = plainModel(config, weights, tokens);
    const block = { tokens, B: 1, T };
    expect(maxDifference(await logitsOf(config, parameters, block), expected.logits.flat())).toBeLessThan(1e-10);
    const { memoryLoss } = scope(() => forward(config, parameters, { ...block, auxLosses: true }).aux);
    expect(Boolean(memoryLoss)).toBe(change.memory_slots !== undefined && change.memory_mode !== 'compat');
    if (memoryLoss) expect(await memoryLoss.item()).toBeCloseTo(expected.memoryLoss, 10);
  });
});

it('ways to know positions are switched at run time; without any, the order of tokens still counts, only less', async () => {
  const parameters = await tinyParameters(oracle);
  const block = { tokens: randomTokens(20, V, 'nope'), B: 1, T: 20 };
  const rope = await logitsOf(TINY, parameters, block);
  const none = await logitsOf(TINY, parameters, { ...block, positional: { mode: 'nope' } });
  expect(maxDifference(none.subarray(0, V), rope.subarray(0, V))).toBe(0);
  expect(maxDifference(none, rope)).toBeGreaterThan(1e-6);
  const safe = await logitsOf(TINY, parameters, { ...block, positional: { mode: 'safe_nope', cutoff: 5 } });
  expect(maxDifference(safe.subarray(0, 5 * V), rope.subarray(0, 5 * V))).toBe(0);
  expect(maxDifference(safe, rope)).toBeGreaterThan(1e-6);
  const trained: QuasarConfig = { ...TINY, positional: 'nope' };
  expect(maxDifference(await logitsOf(trained, parameters, block), none)).toBe(0);
  expect(maxDifference(await logitsOf(trained, parameters, { ...block, positional: { mode: 'rope' } }), rope)).toBe(0);
});

it('gradients of gate and anchor are divided by the number of loops, the result is not', async () => {
  const looped: QuasarConfig = {
    ...TINY,
    n_layers: 2,
    dense_input_layers: 2,
    num_loops: 4,
    use_looped_injection: true,
  };
  const gate = 'model.layers.0.injection_gate';
  const gradient = async (change: Partial<QuasarConfig>) => {
    const parameters = await tinyParameters(oracle, looped);
    const wanted = [gate, 'model.embed_norm.weight'].map((name) => parameters.get(name) as Tensor);
    for (const tensor of wanted) tensor.requiresGrad = true;
    const { gradients: found } = gradients(wanted, () => {
      const { hidden } = forward({ ...looped, ...change }, parameters, { tokens: Int32Array.of(1, 2, 3), B: 1, T: 3 });
      return { loss: weightedSum(hidden, Tensor.filled(oracle, hidden.shape, 1)) };
    });
    return Promise.all(found.map(async (g) => [...((await g?.read()) ?? [])]));
  };
  const [plainGate, plainNorm] = await gradient({ anchor_grad_scale_gate: 1, anchor_grad_scale_P: 1 });
  const [scaledGate, sameNorm] = await gradient({ anchor_grad_scale_P: 1 });
  expect(scaledGate?.[0]).toBeCloseTo((plainGate?.[0] as number) / 4, 12);
  expect(sameNorm).toEqual(plainNorm);
  const [, withoutP] = await gradient({ anchor_grad_scale_P: 0 });
  const [, byDefault] = await gradient({});
  byDefault?.forEach((g, i) => {
    const [all, none] = [plainNorm?.[i] as number, withoutP?.[i] as number];
    expect(g).toBeCloseTo(none + (all - none) / 4, 10);
  });
});

it('the public form of latent memory sees the future, so it is not trained', async () => {
  const config: QuasarConfig = { ...TINY, ...MEMORY, memory_mode: 'compat' };
  const parameters = await tinyParameters(oracle, config);
  const [T, before] = [70, randomTokens(70, V, 'compat')];
  const after = before.slice();
  after[T - 1] = ((before[T - 1] as number) + 1) % V;
  const [one, other] = [before, after].map((tokens) => logitsOf(config, parameters, { tokens, B: 1, T }));
  const first = async (logits: typeof one) => (await logits)?.subarray(0, V) ?? [];
  expect(maxDifference(await first(one), await first(other))).toBeGreaterThan(0);
  for (const parameter of parameters.values()) parameter.requiresGrad = true;
  const train = () => {
    const { hidden } = forward(config, parameters, { tokens: before, B: 1, T });
    return { loss: weightedSum(hidden, Tensor.filled(oracle, hidden.shape, 1)) };
  };
  expect(() => gradients([...parameters.values()], train)).toThrow(
    expect.objectContaining({ code: 'model.unsupported' }),
  );
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

  it('a missing weight, a row that is not there', () => {
    const block = { tokens, B: 2, T: 2 };
    const code = (code: string) => expect.objectContaining({ code });
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
