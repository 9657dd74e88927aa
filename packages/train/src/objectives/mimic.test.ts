/** @file Branch mimicry: a branch learns to follow the attention beside it, by this loss alone. */
import { Rng } from '@quasar/base';
import { type Checkpoint, forward, graftOnto, initialParameters, SIZES } from '@quasar/model';
import { openDevice, referenceDevice, type Tensor } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { pack, weightOf } from '../data/batch.ts';
import { worldSource } from '../data/source.ts';
import { TOKENIZER, tinyCheckpoint, tinyRun, valuesOf } from '../testing/tiny.ts';
import { train } from '../trainer.ts';
import { mimicObjective } from './mimic.ts';

const LONG = {
  ...SIZES['preview-nano'],
  vocab_size: TOKENIZER.vocabSize,
  hidden_size: 32,
  intermediate_size: 48,
  initializer_range: 0.2,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 16,
  first_k_dense_replace: 2,
  hybrid_attention_layers: [0, 1],
  hybrid_raven_slots: 16,
  hybrid_raven_topk: 4,
};

function longCheckpoint(device = openDevice('auto')): Checkpoint {
  return { config: LONG, parameters: initialParameters(LONG, device, new Rng('long')), tokenizer: TOKENIZER };
}

describe.each<[string, () => Checkpoint, RegExp]>([
  [
    'a graft upon softmax layers',
    () => graftOnto(longCheckpoint(), { layers: [0, 1], heads: 2, head_dim: 16 }, new Rng('graft')),
    /^graft/,
  ],
  ['Quasar-Preview', longCheckpoint, /attention\.(quasar|raven|gla)_attention|attention\.branch_/],
])('%s', (_, make, own) => {
  it('branches learn to give what attention gives, and nothing else moves', async () => {
    const checkpoint = make();
    const before = await valuesOf(checkpoint);
    const losses: number[] = [];
    const onStep = ({ metrics }: { metrics: Record<string, number> }) => losses.push(metrics.mimic as number);
    const settings = { steps: 150, B: 4, learningRate: 1e-2, matrices: 'muon' as const };
    await train(tinyRun(settings, { checkpoint, objective: mimicObjective(), onStep }));
    const mean = (x: number[]) => x.reduce((a, b) => a + b) / x.length;
    expect(mean(losses.slice(-5))).toBeLessThan(0.5 * mean(losses.slice(0, 2)));
    const after = await valuesOf(checkpoint);
    const moved = Object.keys(before).filter((name) => before[name]?.some((x, i) => x !== after[name]?.[i]));
    expect(moved.length).toBeGreaterThan(5);
    expect(moved.filter((name) => !own.test(name))).toEqual([]);
  });
});

it('the loss is smooth-L1 of bounded outputs, averaged over layers', async () => {
  const checkpoint = longCheckpoint(referenceDevice({ precision: 'f64' }));
  // Some outputs far apart, some beyond the bound.
  const gain = checkpoint.parameters.get('model.layers.0.attention.dense.weight') as Tensor;
  gain.write(Float64Array.from(await gain.read(), (x, i) => x * (i % 5 === 0 ? 500 : 1)));
  const batch = pack(worldSource(TOKENIZER).open('mimic'), 1, 20);
  const { config, parameters } = checkpoint;
  const { metrics } = mimicObjective().evaluate(checkpoint, { batch, weightTotal: weightOf(batch), share: 1 });
  const { mimic: pairs = [] } = forward(config, parameters, { ...batch, mimic: true });
  let sum = 0;
  const bound = (x: number) => Math.min(80, Math.max(-80, x));
  let beyond = 0;
  for (const { attention, branch } of pairs) {
    const [a, b] = [await attention.read(), await branch.read()];
    a.forEach((x, i) => {
      const t = Math.floor(i / LONG.hidden_size);
      if (batch.targets[t] === -1) return;
      if (Math.abs(x) > 80) beyond++;
      const d = Math.abs(bound(x) - bound(b[i] as number));
      sum += ((batch.weights[t] as number) * (d < 1 ? d ** 2 / 2 : d - 0.5)) / (pairs.length * LONG.hidden_size);
    });
  }
  expect(pairs.length).toBe(2);
  expect(beyond).toBeGreaterThan(0);
  expect(await (metrics.mimic as Tensor).item()).toBeCloseTo(sum / weightOf(batch), 10);
});

it('refuses a model without branches', () => {
  const checkpoint = tinyCheckpoint();
  const batch = pack(worldSource(TOKENIZER).open('mimic'), 1, 20);
  expect(() => mimicObjective().evaluate(checkpoint, { batch, weightTotal: 1, share: 1 })).toThrow(
    expect.objectContaining({ code: 'train.bad_objective' }),
  );
});
