/** @file What `forward` gives of single layers when it is asked: the residual stream, and attention beside its branch. */
import { Rng } from '@quasar/base';
import { add, gradients, openDevice, scope, Tensor, weightedSum } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import type { ForwardInput, MimicPair } from '../block.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { forward } from '../forward.ts';
import { graftOnto } from '../graft.ts';
import { weight } from '../parameters.ts';
import { maxDifference, randomTokens, TINY, tinyParameters } from '../testing/tiny.ts';
import { TINY_LONG } from '../testing/tiny-quasar-long.ts';
import { TINY_QWEN, TINY_QWEN_MOE } from '../testing/tiny-qwen3-5.ts';
import { trainBpe } from '../tokenizer/index.ts';
import type { ModelConfig } from './index.ts';

const device = openDevice('auto');
const tokenizer = trainBpe(['words'], { vocabSize: 270 });
const V = tokenizer.vocabSize;
const [B, T] = [2, 40];
const block = { tokens: randomTokens(B * T, V, 'layers'), B, T };

const checkpointOf = async (config: ModelConfig): Promise<Checkpoint> => ({
  config,
  parameters: await tinyParameters(device, config),
  tokenizer,
});
const LOOPED = { ...TINY, vocab_size: V, num_loops: 2 };
const LONG = { ...TINY_LONG, vocab_size: V };
const QWEN = { ...TINY_QWEN, vocab_size: V };
const GRAFT = { layers: [0, 2], heads: 2, head_dim: 16 };

async function graftUpon(config: ModelConfig): Promise<Checkpoint> {
  const graft = graftOnto(await checkpointOf(config), GRAFT, new Rng('branches'));
  const rng = new Rng('disturb');
  for (const [name, tensor] of graft.parameters)
    if (/^graft.*o_proj/.test(name)) tensor.write(Float32Array.from({ length: tensor.size }, () => rng.normal()));
  return graft;
}

/** Values of a block's outputs, and the gradients of their sum in some parameters. */
async function run<T extends Record<string, Tensor>>(
  { config, parameters }: Checkpoint,
  options: Partial<ForwardInput>,
  of: (out: ReturnType<typeof forward>) => T,
  trained: (name: string) => boolean = () => true,
) {
  const names = [...parameters.keys()].filter(trained);
  const tensors = names.map((name) => weight(parameters, name));
  for (const tensor of tensors) tensor.requiresGrad = true;
  const { value, gradients: found } = scope(() =>
    gradients(tensors, () => {
      const outputs = of(forward(config, parameters, { ...block, ...options }));
      const sums = Object.values(outputs).map((t) => weightedSum(t, Tensor.filled(device, t.shape, 1)));
      return { loss: sums.reduce(add), outputs };
    }),
  );
  for (const tensor of tensors) tensor.requiresGrad = false;
  const values = await Promise.all(Object.values(value.outputs).map((t) => t.read()));
  const moved = await Promise.all(found.map(async (g) => (await g?.read())?.some((x) => x !== 0) ?? false));
  const slopes = await Promise.all(found.map(async (g) => (await g?.read()) ?? null));
  return { values, slopes, learns: names.filter((_, i) => moved[i]) };
}

const SUBJECTS: [string, () => Promise<Checkpoint>, layers: number, loops: number][] = [
  ['quasar, looped', () => checkpointOf(LOOPED), LOOPED.n_layers, 2],
  ['quasar_long', () => checkpointOf(LONG), LONG.num_hidden_layers, LONG.num_loops],
  ['qwen3_5 with experts', () => checkpointOf({ ...TINY_QWEN_MOE, vocab_size: V }), 3, 1],
  ['a graft', () => graftUpon(QWEN), 3, 1],
];

describe.each(SUBJECTS)('hidden states of %s', (_, make, layers, loops) => {
  it('are the stream after every layer, and change nothing else; computed again they are the same', async () => {
    const checkpoint = await make();
    const plain = await run(checkpoint, {}, ({ hidden }) => ({ hidden }));
    expect(forward(checkpoint.config, checkpoint.parameters, block).hiddenStates).toBeUndefined();
    const asked = await run(checkpoint, { hiddenStates: true }, ({ hidden }) => ({ hidden }));
    expect(asked).toEqual(plain);
    const all = (out: ReturnType<typeof forward>) => Object.fromEntries((out.hiddenStates ?? []).entries());
    const states = await run(checkpoint, { hiddenStates: true }, all);
    expect(states.values.length).toBe(layers * loops);
    const different = new Set(states.values.map((values) => values[0]));
    expect(different.size).toBe(layers * loops);
    expect(await run(checkpoint, { hiddenStates: true, recompute: true }, all)).toEqual(states);
  });
});

it('the last hidden state gives the output of the model by its last norm', async () => {
  const { config, parameters } = await checkpointOf(LONG);
  const { hidden, hiddenStates = [] } = forward(config, parameters, { ...block, hiddenStates: true });
  const last = Float32Array.from(await (hiddenStates.at(-1) as Tensor).read());
  const output = await hidden.read();
  const norm = await weight(parameters, 'model.norm.weight').read();
  const D = norm.length;
  const row = last.subarray(0, D);
  const rms = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0) / D + LONG.rms_norm_eps);
  row.forEach((x, i) => {
    expect(output[i]).toBeCloseTo((x / rms) * (norm[i] as number), 4);
  });
});

const ofPairs = (pairs: MimicPair[], which: 'attention' | 'branch') =>
  Object.fromEntries(pairs.map((pair, i) => [`${i}`, pair[which]]));

const MIMICS: [string, () => Promise<Checkpoint>, layers: number[], own: RegExp][] = [
  ['hybrid layers', () => checkpointOf(LONG), [1, 2, 3], /attention\.(quasar|raven|gla)_attention|attention\.branch_/],
  ['a graft upon qwen3_5', () => graftUpon(QWEN), [0, 2], /^graft/],
  ['a graft upon hybrid layers', () => graftUpon(LONG), [0, 2], /^graft/],
];

describe.each(MIMICS)('branches that mimic, of %s', (name, make, layers, own) => {
  it('see a constant, leave the stream alone and are the only ones that learn', async () => {
    const checkpoint = await make();
    const { config, parameters } = checkpoint;
    const branches = await run(checkpoint, { mimic: true }, ({ mimic = [] }) => ofPairs(mimic, 'branch'));
    expect(branches.learns.length).toBeGreaterThan(0);
    expect(branches.learns.filter((learning) => !own.test(learning))).toEqual([]);
    expect(
      await run(checkpoint, { mimic: true, recompute: true }, ({ mimic = [] }) => ofPairs(mimic, 'branch')),
    ).toEqual(branches);
    const out = forward(config, parameters, { ...block, mimic: true });
    expect(out.mimic?.map(({ layer }) => layer)).toEqual(layers);
    const alone = config.model_type === 'quasar_graft' ? config.base : { ...LONG, hybrid_eval_mode: 'gqa_only' };
    expect(await out.hidden.read(), name).toEqual(await forward(alone as ModelConfig, parameters, block).hidden.read());
  });
});

it('what mimics a hybrid layer is what stands there when it replaces softmax attention', async () => {
  const { parameters } = await checkpointOf(LONG);
  // Without a feed-forward, the stream moves by what attention gives.
  for (const [name, tensor] of parameters)
    if (name.startsWith('model.layers.1.mlp.experts') || name.startsWith('model.layers.1.mlp.shared'))
      tensor.write(new Float32Array(tensor.size));
  const config = { ...LONG, num_hidden_layers: 2 };
  const moved = async ({ hiddenStates = [] }: ReturnType<typeof forward>) => {
    const [before, after] = await Promise.all(hiddenStates.map((state) => state.read()));
    return after?.map((x, i) => x - (before?.[i] as number)) ?? [];
  };
  const asked = forward(config, parameters, { ...block, mimic: true, hiddenStates: true });
  const replaced = { ...config, hybrid_replacement_mode: 'full' } as const;
  const full = forward(replaced, parameters, { ...block, mimic: true, hiddenStates: true });
  expect(full.mimic).toEqual([]);
  const [pair] = asked.mimic as [MimicPair];
  expect(maxDifference(await moved(asked), await pair.attention.read())).toBeLessThan(1e-5);
  expect(maxDifference(await moved(full), await pair.branch.read())).toBeLessThan(1e-5);
  expect(maxDifference(await pair.branch.read(), await pair.attention.read())).toBeGreaterThan(1e-2);
});
