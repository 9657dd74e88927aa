/** @file The quasar_long family against its equations, its published counts, and what a running model says of itself. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import { openDevice, referenceDevice, scope, type Tensor } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { loadParameters, saveCheckpoint } from '../../checkpoint/checkpoint.ts';
import { forward } from '../../forward.ts';
import { modelInfo } from '../../model-info.ts';
import { disposeParameters, initialParameters, type Parameters } from '../../parameters.ts';
import { plainQuasarLong } from '../../testing/plain-quasar-long.ts';
import { logitsOf, maxDifference, randomTokens, tinyParameters } from '../../testing/tiny.ts';
import { TINY_ENGRAM, TINY_LONG } from '../../testing/tiny-quasar-long.ts';
import { trainBpe } from '../../tokenizer/index.ts';
import { familyOf, SIZES, tensorTable } from '../index.ts';
import { branchOf, glaLogDecay, type QuasarLongConfig } from './config.ts';

const oracle = referenceDevice({ precision: 'f64' });
const V = TINY_LONG.vocab_size;
/** Seen in the output: a memory is added in full. */
const ENGRAM: Partial<QuasarLongConfig> = { ...TINY_ENGRAM, engram_residual_scale: 1 };

describe('the equations written out token by token', () => {
  it.each<[string, Partial<QuasarLongConfig>]>([
    ['all kinds of layers', {}],
    ['two loops with injection', { num_loops: 2, use_looped_injection: true }],
    [
      'two loops with injection and stabiliser',
      {
        num_loops: 2,
        use_looped_injection: true,
        use_parcae_loop_stabilizer: true,
      },
    ],
    ['the public write gate', { quasar_variant: 'preview_chunk' }],
    ['branches alone', { hybrid_replacement_mode: 'full' }],
    ['branches forced', { hybrid_eval_mode: 'mixed_forced' }],
    ['softmax alone', { hybrid_eval_mode: 'gqa_only' }],
    ['raven left out, layers in another order', { hybrid_raven_enabled: false, hybrid_attention_layers: [3, 0] }],
    ['no adapter, another group norm', { hybrid_output_adapter_rank: 0, hybrid_gla_group_norm_size: 4 }],
    ['adapter of another weight', { hybrid_output_adapter_alpha: 1.5 }],
    [
      'two shared experts, all groups',
      {
        num_shared_experts: 2,
        moe_shared_expert_intermediate_size: 32,
        topk_group: 4,
        routed_scaling_factor: 2.5,
      },
    ],
    [
      'no shared expert, one group',
      {
        num_shared_experts: 0,
        moe_shared_expert_intermediate_size: 0,
        n_group: 1,
        topk_group: 1,
      },
    ],
    ['memories of n-grams', ENGRAM],
    ['a memory with the public gate, two loops', { ...ENGRAM, engram_gate: 'public', num_loops: 2 }],
    ['rotation everywhere', { use_nope: false, partial_rotary_factor: 1 }],
    ['rotation nowhere', { long_context_mode: 'nope' }],
  ])('%s', async (_, change) => {
    const config = { ...TINY_LONG, ...change };
    const parameters = await tinyParameters(oracle, config);
    const weights = new Map<string, ArrayLike<number>>();
    for (const [name, tensor] of parameters) weights.set(name, await tensor.read());
    const tokens = randomTokens(8, V, 'equations');
    const expected = plainQuasarLong(config, weights, tokens).flat();
    expect(maxDifference(await logitsOf(config, parameters, { tokens, B: 1, T: 8 }), expected)).toBeLessThan(1e-10);
  });
});

it('preview: the published counts by part', () => {
  const { parameters, parts, layers, sequence, flopsPerToken } = modelInfo(SIZES.preview);
  expect(parameters).toEqual({ total: 16_553_949_296, active: 1_409_366_128 });
  expect(layers).toEqual({ softmax: 20, quasar: 10, raven: 3, gla: 3 });
  // Architecture §4.
  const of = Object.fromEntries(parts.map(({ part, parameters }) => [part, parameters]));
  expect(of).toEqual({
    embedding: 321_912_832,
    head: 321_912_832,
    'softmax attention': 209_720_320,
    'dense feed-forward': 31_457_280,
    'routed experts': 19 * 256 * 3_145_728,
    'shared experts': 19 * 3_145_728,
    router: 19 * 524_288,
    'norms and gates': 83_968,
    'quasar attention': 215_328_160,
    raven: 37_854_048,
    'gated linear attention': 44_047_104,
    'branch merge': 1_081_456,
  });
  expect(sequence.stateBytes).toBe(16 * 2 ** 20);
  // In floats; published caches have half of it.
  expect(sequence.cacheBytesPerToken).toBe(2 * 40_960);
  expect(sequence.contextFlops).toBe(163_840);
  expect(flopsPerToken.products).toBe(2 * 1_409_366_128);
});

it('preview with a memory in every layer: 66,887,680 parameters each, none of which every token reads', () => {
  const layers = Array.from({ length: 20 }, (_, layer) => layer);
  const { parameters, parts } = modelInfo({ ...SIZES.preview, engram_layers: layers });
  expect(parameters.total).toBe(16_553_949_296 + 20 * 66_887_680);
  const memory = parts.find(({ part }) => part === 'engram');
  expect(memory?.parameters).toBe(20 * 66_887_680);
  expect(memory?.active).toBe(20 * (66_887_680 - 16 * 125_003 * 32));
});

it('a fresh memory of n-grams changes nothing, bit for bit', async () => {
  const device = openDevice('auto');
  const [plain, remembering] = [TINY_LONG, { ...TINY_LONG, ...TINY_ENGRAM, engram_residual_scale: 1 }];
  const fresh = (config: QuasarLongConfig) =>
    logitsOf(config, initialParameters(config, device, new Rng('fresh')), {
      tokens: randomTokens(2 * 30, V, 'fresh'),
      B: 2,
      T: 30,
    });
  expect(await fresh(remembering)).toEqual(await fresh(plain));
});

it('preview: published names, shapes, branches and decays', () => {
  const table = tensorTable(SIZES.preview);
  const shapes = {
    'model.word_embeddings.weight': [157184, 2048],
    'model.rotary_emb.inv_freq': [32],
    'model.layers.0.attention.query_key_value.weight': [3072, 2048],
    'model.layers.0.mlp.down_proj.weight': [2048, 5120],
    'model.layers.1.mlp.experts_w12': [256, 2048, 1024],
    'model.layers.1.mlp.experts_w3': [256, 512, 2048],
    'model.layers.1.mlp.gate.expert_bias': [256],
    'model.layers.1.mlp.shared_experts.gate_proj.weight': [512, 2048],
    'model.layers.4.attention.quasar_attention.b_proj.weight': [16, 2048],
    'model.layers.4.attention.branch_output_adapter_up.weight': [2048, 16],
    'model.layers.5.attention.raven_attention.r_proj.weight': [1024, 2048],
    'model.layers.8.attention.gla_attention.slope': [16],
    'model.layers.19.attention.quasar_attention.dt_bias': [2048],
  };
  for (const [name, shape] of Object.entries(shapes)) expect(table.get(name)?.shape, name).toEqual(shape);
  expect([...table.keys()].filter((name) => /injection|parcae|conv/.test(name))).toEqual([]);
  const layers = Array.from({ length: 20 }, (_, layer) => branchOf(SIZES.preview, layer));
  const of = (branch: string | null) => [...layers.keys()].filter((layer) => layers[layer] === branch);
  expect(of('raven')).toEqual([5, 10, 15]);
  expect(of('gla')).toEqual([8, 13, 18]);
  expect(of('quasar')).toHaveLength(10);
  // Half-lives of the slowest heads, in tokens (architecture §3.6).
  const halfLife = (layer: number) => Math.log(0.5) / (glaLogDecay(SIZES.preview, layer).at(-1) as number);
  for (const [layer, tokens] of [
    [8, 281],
    [13, 481],
    [18, 1686],
  ] as const)
    expect(Math.abs(halfLife(layer) - tokens), `layer ${layer}`).toBeLessThan(1);
  // ALiBi: where heads are no power of two, every second slope of twice as many fills up.
  const slopes = glaLogDecay({ ...TINY_LONG, num_attention_heads: 3 }, 0).map((g) => Math.log2(-g));
  for (const [h, exponent] of [-4, -8, -2].entries()) expect(slopes[h], `head ${h}`).toBeCloseTo(exponent, 4);
});

it.each<Partial<QuasarLongConfig>>([
  {},
  { num_loops: 2 },
  { hybrid_replacement_mode: 'linear' },
  { hybrid_eval_mode: 'gqa_only' },
  TINY_ENGRAM,
])('the state of a running model has the size it says: %o', async (change) => {
  const config = { ...TINY_LONG, ...change };
  const device = openDevice('auto');
  const parameters = await tinyParameters(device, config);
  const { stateBytes, cacheBytesPerToken } = modelInfo(config).sequence;
  scope(() => {
    const { state } = forward(config, parameters, { tokens: randomTokens(2 * 70, V, 'info'), B: 2, T: 70 });
    expect(state.sizeBytes).toBe((2 * (stateBytes + 70 * cacheBytesPerToken) * device.floatBytes) / 4);
  });
  disposeParameters(parameters);
});

it('experts of public files may lie apart under their own names', () => {
  const of = (name: string) => familyOf(TINY_LONG).names?.unfused(`model.layers.1.mlp.${name}`)?.(3);
  const at = 'model.layers.1.mlp.experts.3';
  expect(of('experts_w12')).toEqual([`${at}.gate_proj.weight`, `${at}.up_proj.weight`]);
  expect(of('experts_w3')).toEqual([`${at}.down_proj.weight`]);
  for (const name of ['shared_experts.up_proj.weight', 'gate.weight', 'gate.expert_bias'])
    expect(of(name)).toBeUndefined();
});

it('weights kept in 16 bits compute the bits of the same weights in 32', async () => {
  const tokenizer = trainBpe(['hello world'], { vocabSize: 264 });
  const config = { ...TINY_LONG, vocab_size: tokenizer.vocabSize };
  const device = openDevice('auto');
  const parameters = await tinyParameters(device, config);
  const directory = mkdtempSync(join(tmpdir(), 'quasar-long-'));
  await saveCheckpoint(directory, { config, parameters, tokenizer }, 'BF16');
  const block = { tokens: randomTokens(20, config.vocab_size, 'stored'), B: 1, T: 20 };
  const [wide, stored] = (['f32', 'stored'] as const).map((dtype) =>
    loadParameters(directory, config, device, { dtype }),
  );
  rmSync(directory, { recursive: true });
  expect(stored?.get('model.layers.1.mlp.experts_w12')?.dtype).toBe('bf16');
  expect(await logitsOf(config, stored as Parameters, block)).toEqual(
    await logitsOf(config, wide as Parameters, block),
  );
});

it('a padded batch keeps no more keys than its longest prompt', async () => {
  const parameters = await tinyParameters(oracle, TINY_LONG);
  // Rows of 2 and 5 tokens after padding that is a segment of its own.
  const positions = Int32Array.of(0, 1, 2, 3, 0, 1, 0, 0, 1, 2, 3, 4);
  const { state } = scope(() =>
    forward(TINY_LONG, parameters, { tokens: randomTokens(12, V, 'pad'), B: 2, T: 6, positions }),
  );
  const keys = state.tensors.get('0.0.keys') as Tensor;
  expect(keys.shape).toEqual([2, 5, 1, 16]);
});
