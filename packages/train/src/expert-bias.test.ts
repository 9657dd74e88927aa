/** @file The expert bias of a training step: once per step, from the counts of all loops; evaluation leaves it alone. */
import { Rng } from '@quasar/base';
import { initialParameters, type ModelConfig, SIZES } from '@quasar/model';
import { openDevice, Tensor } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { worldSource } from './data/source.ts';
import { updateExpertBias } from './expert-bias.ts';
import { digestOf, TINY, TOKENIZER, tinyCheckpoint, tinyRun, valuesOf } from './testing/tiny.ts';
import { train } from './trainer.ts';

/** Layers: softmax dense; quasar, raven and gla beside softmax, with experts. */
const LONG = {
  ...SIZES['preview-nano'],
  vocab_size: TOKENIZER.vocabSize,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 4,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 16,
  num_experts: 8,
  moe_intermediate_size: 16,
  moe_shared_expert_intermediate_size: 16,
  hybrid_attention_layers: [1, 2, 3],
  hybrid_raven_slots: 16,
  hybrid_raven_topk: 4,
};

const BUFFERS = ['model.all_moe_bias', 'model.all_moe_momentum', 'model.all_moe_max_vio'];

it('adds up the counts of the loops of a layer', async () => {
  // Two layers, two loops: layers 0, 1, 0, 1.
  const counts = [
    [8, 0, 0, 0],
    [1, 2, 3, 2],
    [0, 8, 0, 0],
    [3, 2, 1, 2],
  ];
  const update = async (counts: number[][]) => {
    const checkpoint = tinyCheckpoint();
    const device = (checkpoint.parameters.get('lm_head.weight') as Tensor).device;
    updateExpertBias(
      checkpoint,
      counts.map((c) => Tensor.from(device, [4], c)),
    );
    const values = await valuesOf(checkpoint);
    return BUFFERS.map((name) => values[name]);
  };
  const summed = [
    [8, 8, 0, 0],
    [4, 4, 4, 4],
  ];
  expect(await update(counts)).toEqual(await update(summed));
});

it('moves the biases of a family that keeps them layer by layer, without momentum', async () => {
  const config: ModelConfig = { ...LONG, num_hidden_layers: 3, hybrid_attention_layers: [1] };
  const device = openDevice('auto');
  const checkpoint = { config, parameters: initialParameters(config, device, new Rng('long')), tokenizer: TOKENIZER };
  // Layers 1 and 2 have experts; two loops.
  const counts = [
    [8, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 8, 0, 0, 0, 0],
    [0, 8, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 8, 0, 0, 0, 0],
  ];
  updateExpertBias(
    checkpoint,
    counts.map((c) => Tensor.from(device, [8], c)),
  );
  const bias = async (layer: number) => [
    ...((await checkpoint.parameters.get(`model.layers.${layer}.mlp.gate.expert_bias`)?.read()) ?? []),
  ];
  for (const [layer, loaded] of [
    [1, [0, 1]],
    [2, [3]],
  ] as const) {
    const values = await bias(layer);
    expect(Math.abs(values.reduce((a, b) => a + b, 0))).toBeLessThan(1e-7);
    for (const [e, value] of values.entries())
      if ((loaded as readonly number[]).includes(e)) expect(value, `layer ${layer}, expert ${e}`).toBeLessThan(-1e-3);
      else expect(value, `layer ${layer}, expert ${e}`).toBeGreaterThan(1e-4);
  }
});

it('a model with softmax attention and branches learns, and balances its experts', async () => {
  const checkpoint = {
    config: LONG,
    parameters: initialParameters(LONG, openDevice('auto'), new Rng('long')),
    tokenizer: TOKENIZER,
  };
  const run = tinyRun({ steps: 20 }, { checkpoint, heldOut: { world: worldSource(TOKENIZER) } });
  const { evaluations } = await train(run);
  const [start, end] = evaluations.map((e) => e.heldOut.world?.ce as number);
  expect(end).toBeLessThan((start as number) - 1);
  const biases = (await valuesOf(checkpoint))['model.layers.1.mlp.gate.expert_bias'] as number[];
  expect(Math.max(...biases.map(Math.abs))).toBeGreaterThan(1e-3);
});

it('one update per step, of the size of one step', async () => {
  const run = tinyRun({ steps: 1 });
  await train(run);
  const values = await valuesOf(run.checkpoint);
  const bias = values['model.all_moe_bias'] as number[];
  // delta is at most lambda before it is centred, and the first step takes half of it.
  const largest = Math.max(...bias.map(Math.abs));
  expect(largest).toBeGreaterThan(0);
  expect(largest).toBeLessThanOrEqual((1 - TINY.smebu_beta) * 2 * TINY.smebu_lambda);
  for (let layer = 0; layer < 2; layer++)
    expect(Math.abs(bias.slice(4 * layer, 4 * layer + 4).reduce((a, b) => a + b, 0))).toBeLessThan(1e-7);
  // The bias is the momentum, centred once more.
  for (const [i, m] of (values['model.all_moe_momentum'] as number[]).entries()) expect(bias[i]).toBeCloseTo(m, 8);
});

it('evaluation changes nothing at all', async () => {
  const run = tinyRun({ steps: 0 }, { heldOut: { world: worldSource(TOKENIZER) } });
  const before = await digestOf(run.checkpoint);
  const { evaluations } = await train(run);
  expect(evaluations).toHaveLength(1);
  expect(await digestOf(run.checkpoint)).toBe(before);
});
