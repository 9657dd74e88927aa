/** @file Distillation: whom a prediction is learned from, views in place of a teacher, blocks, hidden states, refusals. */
import { type Checkpoint, forward, vocabularyOperands } from '@quasar/model';
import { gradients, headTopK, referenceDevice, scope, type Tensor } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { localCompute, measure, type Trainee } from '../compute.ts';
import { withoutTeacher } from '../data/adapted.ts';
import { type Batch, columns, type Document, pack, weightOf } from '../data/batch.ts';
import { worldSource } from '../data/source.ts';
import { TINY, TOKENIZER, tinyCheckpoint, tinyRun } from '../testing/tiny.ts';
import { train } from '../trainer.ts';
import { type DistilOptions, distilObjective } from './distil.ts';
import { crossEntropyObjective, type Objective } from './objective.ts';

const device = referenceDevice({ precision: 'f64' });
const config = { ...TINY, moe_aux_loss_coeff: 0, moe_z_loss_coeff: 0 };
const student = tinyCheckpoint('student', device, config);
const teacher = tinyCheckpoint('teacher', device, { ...config, d_model: 48, n_heads: 3 });
const world = worldSource(TOKENIZER);
const batchOf = (B: number, T: number) => pack(world.open('distil'), B, T);

/** The loss and its gradient in some parameters. */
async function lossOf(objective: Objective, batch: Batch, of: Checkpoint = student) {
  const names = ['lm_head.weight', 'model.layers.0.ffn.up.weight', 'model.norm.weight'];
  const found = names.flatMap((name) => of.parameters.get(name) ?? []);
  for (const tensor of found) tensor.requiresGrad = true;
  const input = { batch, weightTotal: weightOf(batch), share: 1 };
  const out = scope(() => gradients(found, () => objective.evaluate(of, input)));
  for (const tensor of found) tensor.requiresGrad = false;
  const metrics: Record<string, number> = {};
  for (const [name, tensor] of Object.entries(out.value.metrics)) metrics[name] = await tensor.item();
  const slopes = await Promise.all(out.gradients.map(async (g) => [...((await g?.read()) ?? [])]));
  return { loss: await out.value.loss.item(), metrics, slopes: slopes.flat() };
}

/** What a trace of the teacher would hold of every prediction. */
async function viewsOf(batch: Batch, k: number): Promise<NonNullable<Batch['teacher']>> {
  const index = Int32Array.from(batch.targets.keys());
  const { hidden } = forward(teacher.config, teacher.parameters, batch);
  const { rows, head } = vocabularyOperands(teacher.parameters, hidden, index);
  const { ids, logprobs, tail } = headTopK(rows, head, k);
  const floats = async (tensor: Tensor) => Float32Array.from(await tensor.read());
  const top = { k, ids: (await ids.read()) as Int32Array, logprobs: await floats(logprobs), tail: await floats(tail) };
  return { index, top };
}

function projection({ parameters }: Objective, name: string): Tensor {
  return parameters?.tensors.get(name) as Tensor;
}

function expectClose(a: readonly number[], b: readonly number[], tolerance: number): void {
  expect(a.length).toBe(b.length);
  expect(Math.max(...a.map((x, i) => Math.abs(x - (b[i] as number))))).toBeLessThan(tolerance);
}

describe('a prediction', () => {
  it('is weighed term by term', async () => {
    const batch = batchOf(1, 24);
    const terms = { forward: 0.5, reverse: 0.25, ce: 0.1 };
    const { loss, metrics } = await lossOf(distilObjective(teacher, { terms }), batch);
    const { kl = 0, reverse_kl = 0, ce = 0 } = metrics;
    expect(loss).toBeCloseTo(0.5 * kl + 0.25 * reverse_kl + 0.1 * ce, 6);
    const plain = await lossOf(crossEntropyObjective(), batch);
    expect(ce).toBeCloseTo(plain.loss, 10);
    expect(kl).toBeGreaterThan(0);
  });

  it('without a teacher is learned by cross-entropy alone, as heavy as all terms', async () => {
    const batch = pack(withoutTeacher(world).open('distil'), 1, 24);
    const { loss, metrics, slopes } = await lossOf(
      distilObjective(teacher, { terms: { forward: 0.75, js: 0.25 } }),
      batch,
    );
    const plain = await lossOf(crossEntropyObjective(), batch);
    expect(loss).toBeCloseTo(plain.loss, 10);
    expectClose(slopes, plain.slopes, 1e-10);
    expect(Object.keys(metrics)).toEqual(['ce']);
  });

  it('keeps to its document, in a batch and in its blocks', async () => {
    const [known, unknown] = [world.open('a'), withoutTeacher(world).open('b')];
    let drawn = 0;
    const short = ({ ids, weights, ...rest }: Document) => ({
      ...rest,
      ids: ids.slice(0, 17),
      weights: weights.slice(0, 17),
    });
    const batch = pack({ next: () => short((drawn++ % 2 === 0 ? known : unknown).next()) }, 1, 96);
    const distils = batch.distils as Uint8Array;
    expect(new Set(distils)).toEqual(new Set([0, 1]));
    const starts = [...batch.positions.keys()].filter((i) => batch.positions[i] === 0);
    starts.forEach((start, i) => {
      expect(new Set(distils.subarray(start, starts[i + 1]))).toEqual(new Set([1 - (i % 2)]));
    });
    expect([...(columns(batch, 32, 40).distils as Uint8Array)]).toEqual([...distils.subarray(32, 72)]);
    const both = await lossOf(distilObjective(teacher, {}), batch);
    const chosen = (keep: number): Batch => ({
      ...batch,
      distils: undefined,
      weights: batch.weights.map((w, i) => (distils[i] === keep ? w : 0)),
    });
    const share = (part: Batch) => weightOf(part) / weightOf(batch);
    const [taught, alone] = [chosen(1), chosen(0)];
    const [kl, ce] = [await lossOf(distilObjective(teacher, {}), taught), await lossOf(crossEntropyObjective(), alone)];
    expect(both.loss).toBeCloseTo(share(taught) * kl.loss + share(alone) * ce.loss, 10);
  });
});

describe('views that came with the documents', () => {
  it('teach what the teacher that made them teaches', async () => {
    const batch = batchOf(1, 24);
    const seen = { ...batch, teacher: await viewsOf(batch, 8) };
    const asked = await lossOf(distilObjective(teacher, { topK: 8 }), batch);
    for (const objective of [distilObjective(null), distilObjective(teacher)]) {
      const { metrics, slopes } = await lossOf(objective, seen);
      expect(metrics.kl).toBeCloseTo(asked.metrics.kl as number, 5);
      expectClose(slopes, asked.slopes, 1e-5);
    }
  });

  it.each<DistilOptions>([
    { terms: { reverse: 1, skew: 0.5 } },
    { terms: { forward: 1 }, temperature: 2 },
    { terms: { js: 1, skewReverse: 1 }, temperature: 0.5 },
  ])('give of the whole vocabulary what a running teacher gives: %j', async (options) => {
    const batch = batchOf(1, 20);
    const seen = { ...batch, teacher: await viewsOf(batch, config.vocab_size) };
    const [asked, told] = [
      await lossOf(distilObjective(teacher, options), batch),
      await lossOf(distilObjective(null, options), seen),
    ];
    expect(told.loss).toBeCloseTo(asked.loss, 4);
    expectClose(told.slopes, asked.slopes, 1e-4);
  });

  it('leave predictions without one to cross-entropy', async () => {
    const batch = batchOf(1, 24);
    const { index, top } = await viewsOf(batch, 8);
    const few = {
      ...top,
      ids: top.ids.slice(0, 5 * 8),
      logprobs: top.logprobs.slice(0, 5 * 8),
      tail: top.tail.slice(0, 5),
    };
    const seen = { ...batch, teacher: { index: index.slice(0, 5), top: few } };
    const all = await lossOf(distilObjective(null), { ...batch, teacher: { index, top } });
    const some = await lossOf(distilObjective(null), seen);
    const none = await lossOf(distilObjective(null), batch);
    expect(none.loss).toBeCloseTo((await lossOf(crossEntropyObjective(), batch)).loss, 10);
    expect(some.loss).toBeLessThan(none.loss);
    expect(some.loss).toBeGreaterThan(all.loss);
  });
});

it('a teacher reads on where its block before ended', async () => {
  const batch = batchOf(2, 48);
  const trainee: Trainee = {
    checkpoint: student,
    objective: distilObjective(teacher, { terms: { forward: 1, ce: 1 } }),
  };
  const whole = await measure(trainee, [{ batch }]);
  const cut = await measure(trainee, [{ batch, blockTokens: 16 }]);
  expect(cut.kl).toBeCloseTo(whole.kl as number, 10);
  const parameters = [...student.parameters.values()];
  const trained = localCompute(trainee, parameters);
  const { metrics } = await trained.gradients([{ batch, blockTokens: 16 }], 'seed');
  expect(metrics.kl).toBeCloseTo(whole.kl as number, 10);
});

describe('hidden states', () => {
  const hidden = {
    layers: [
      [1, 1],
      [3, 2],
    ],
    weight: 2,
  } as const;

  it.each(['mse', 'cosine'] as const)('%s is what its definition says', async (measureBy) => {
    const batch = batchOf(1, 12);
    const objective = distilObjective(teacher, { hidden: { ...hidden, measure: measureBy } }, config);
    const { metrics, loss } = await lossOf(objective, batch);
    const statesOf = async ({ config, parameters }: Checkpoint) => {
      const { hiddenStates = [] } = forward(config, parameters, { ...batch, hiddenStates: true });
      return Promise.all(hiddenStates.map(async (state) => [...(await state.read())]));
    };
    const [own, given] = [await statesOf(student), await statesOf(teacher)];
    const [d, dt] = [32, 48];
    let sum = 0;
    for (const [pair, [from, to]] of hidden.layers.entries()) {
      const w = await projection(objective, `objective.hidden.${pair}.weight`).read();
      for (let t = 0; t < 12; t++) {
        const h = (own[from] as number[]).slice(t * d, (t + 1) * d);
        const truth = (given[to] as number[]).slice(t * dt, (t + 1) * dt);
        const guess = truth.map((_, i) => h.reduce((s, x, j) => s + x * (w[i * d + j] as number), 0));
        const norm = (x: number[]) => Math.sqrt(x.reduce((s, y) => s + y * y, 0));
        const rms = norm(truth) / Math.sqrt(dt);
        const value =
          measureBy === 'mse'
            ? guess.reduce((s, x, i) => s + (x - (truth[i] as number) / rms) ** 2, 0) / dt
            : 1 - guess.reduce((s, x, i) => s + x * (truth[i] as number), 0) / (norm(guess) * norm(truth));
        sum += (batch.weights[t] as number) * (batch.targets[t] === -1 ? 0 : 1) * value;
      }
    }
    expect(metrics.hidden).toBeCloseTo(sum / weightOf(batch), 4);
    expect(loss).toBeCloseTo((metrics.kl as number) + 2 * (metrics.hidden as number), 10);
  });

  it('teach projections beside the model, which are no part of it', async () => {
    const [checkpoint, guide] = [tinyCheckpoint('student'), tinyCheckpoint('teacher')];
    const objective = distilObjective(guide, { hidden }, checkpoint.config);
    const before = await projection(objective, 'objective.hidden.0.weight').read();
    const names = [...checkpoint.parameters.keys()];
    const values: number[] = [];
    const onStep = ({ metrics }: { metrics: Record<string, number> }) => values.push(metrics.hidden as number);
    await train(tinyRun({ steps: 12, learningRate: 1e-2 }, { checkpoint, objective, onStep }));
    expect(values.at(-1)).toBeLessThan(0.9 * (values[0] as number));
    expect([...checkpoint.parameters.keys()]).toEqual(names);
    const after = await projection(objective, 'objective.hidden.0.weight').read();
    expect(after).not.toEqual(before);
    objective.dispose?.();
  });

  it('refuse layers that are not there', async () => {
    const objective = distilObjective(teacher, { hidden: { layers: [[0, 9]], weight: 1 } }, config);
    await expect(lossOf(objective, batchOf(1, 8))).rejects.toMatchObject({ code: 'train.bad_objective' });
  });
});

it('refuses options that do not go together', () => {
  const refused: [boolean, DistilOptions][] = [
    [true, { terms: {} }],
    [true, { terms: { forward: -1, ce: 2 } }],
    [true, { terms: { kl: 1 } as DistilOptions['terms'] }],
    [true, { temperature: 0 }],
    [true, { alpha: 1 }],
    [true, { beta: 0 }],
    [true, { topK: 0 }],
    [true, { topK: 8, temperature: 2 }],
    [true, { onPolicy: { share: 2 } }],
    [true, { onPolicy: { share: 1, terms: {} } }],
    [false, { topK: 8 }],
    [false, { onPolicy: { share: 1 } }],
    [false, { hidden: { layers: [[0, 0]], weight: 1 } }],
  ];
  for (const [hasTeacher, options] of refused)
    expect(() => distilObjective(hasTeacher ? teacher : null, options), JSON.stringify(options)).toThrow(
      expect.objectContaining({ code: 'train.bad_objective' }),
    );
});
