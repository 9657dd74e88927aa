/** @file The expert bias of a training step: once per step, from the counts of all loops; evaluation leaves it alone. */
import { Tensor } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { worldSource } from './data/source.ts';
import { updateExpertBias } from './expert-bias.ts';
import { digestOf, TINY, TOKENIZER, tinyCheckpoint, tinyRun, valuesOf } from './testing/tiny.ts';
import { train } from './trainer.ts';

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
