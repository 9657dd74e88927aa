/** @file The gradient of a step does not depend on how it is cut: into batches, or into blocks with a carried state. */
import { tensorTable } from '@quasar/model';
import { openDevice, referenceDevice, type Tensor } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { disposeGradients, localCompute, measure, type Trainee, type Work } from './compute.ts';
import { type Batch, columns, pack } from './data/batch.ts';
import { textSource, worldSource } from './data/source.ts';
import { crossEntropyObjective } from './objectives/objective.ts';
import { AdamW } from './optim/adamw.ts';
import { digestOf, TINY, TOKENIZER, tinyCheckpoint, tinyRun } from './testing/tiny.ts';
import { type Lane, train } from './trainer.ts';

/** Without router losses, which are means over a block. */
const config = { ...TINY, moe_aux_loss_coeff: 0, moe_z_loss_coeff: 0 };
const device = referenceDevice({ precision: 'f64' });
const trainee: Trainee = { checkpoint: tinyCheckpoint('compute', device, config), objective: crossEntropyObjective() };

async function gradientsOf(works: Work[], of: Trainee = trainee) {
  const optimizer = new AdamW(of.checkpoint.parameters, tensorTable(of.checkpoint.config));
  const out = await localCompute(of, optimizer.parameters).gradients(works, 'seed');
  const values = await Promise.all(out.found.map(async (g) => (g ? [...(await (g as Tensor).read())] : null)));
  const counts = await Promise.all(out.counts.map(async (tensor) => [...(await tensor.read())]));
  disposeGradients(out);
  optimizer.dispose();
  return { values, metrics: out.metrics, counts };
}

const batchOf = (B: number, T: number, seed = 'a') => pack(worldSource(TOKENIZER).open(seed), B, T);
const row = (batch: Batch, b: number): Batch => {
  const cut = <A extends Int32Array | Float32Array>(x: A) => x.slice(b * batch.T, (b + 1) * batch.T) as A;
  const { tokens, targets, weights, positions } = batch;
  return {
    B: 1,
    T: batch.T,
    tokens: cut(tokens),
    targets: cut(targets),
    weights: cut(weights),
    positions: cut(positions),
  };
};

function expectClose(a: (number[] | null)[], b: (number[] | null)[], tolerance: number): void {
  let worst = 0;
  a.forEach((values, i) => {
    values?.forEach((x, j) => {
      worst = Math.max(worst, Math.abs(x - (b[i]?.[j] as number)));
    });
  });
  expect(worst).toBeLessThan(tolerance);
}

describe('a step', () => {
  it('has the gradient of one batch whose rows it has, though they weigh differently', async () => {
    const whole = batchOf(3, 40);
    const one = await gradientsOf([{ batch: whole }]);
    const three = await gradientsOf([0, 1, 2].map((b) => ({ batch: row(whole, b) })));
    expectClose(one.values, three.values, 1e-10);
    expect(three.metrics.ce).toBeCloseTo(one.metrics.ce as number, 10);
    const total = (counts: number[][]) => counts.flat().reduce((sum, n) => sum + n, 0);
    expect(total(three.counts)).toBe(total(one.counts));
  });

  it('cut into blocks has the loss of whole rows: the state is carried', async () => {
    const batch = batchOf(2, 48);
    const whole = await gradientsOf([{ batch }]);
    const cut = await gradientsOf([{ batch, blockTokens: 16 }]);
    expect(cut.metrics.ce).toBeCloseTo(whole.metrics.ce as number, 10);
    const uneven = await gradientsOf([{ batch, blockTokens: 20 }]);
    expect(uneven.metrics.ce).toBeCloseTo(whole.metrics.ce as number, 10);
    // The gradient through the carried state is what is left out.
    expect(cut.values).not.toEqual(whole.values);
    const without = await Promise.all(
      [0, 16, 32].map((from) => measure(trainee, [{ batch: columns(batch, from, 16) }])),
    );
    expect(without.reduce((sum, { ce }) => sum + (ce as number), 0) / 3).not.toBeCloseTo(whole.metrics.ce as number, 3);
  });

  it('of row gradients and of shared gradients adds up, too', async () => {
    const batch = batchOf(2, 30);
    const native: Trainee = { ...trainee, checkpoint: tinyCheckpoint('compute', openDevice('auto'), config) };
    const [one, twice] = [await gradientsOf([{ batch }], native), await gradientsOf([{ batch }, { batch }], native)];
    expectClose(one.values, twice.values, 1e-5);
  });
});

it('lanes of other shapes are part of every step, and resume with it', async () => {
  const text = textSource(
    'text',
    Int32Array.from({ length: 400 }, (_, i) => 10 + ((i * i) % 50)),
    96,
  );
  const beside: Lane[] = [{ source: text, B: 1, T: 96, batches: 1, blockTokens: 32 }];
  const seen: number[] = [];
  const run = tinyRun({ steps: 4, accumulate: 2 }, { beside, onStep: ({ tokens }) => seen.push(tokens) });
  await train(run);
  expect(seen).toEqual([1, 2, 3, 4].map((step) => step * (2 * 2 * 48 + 96)));
  const plain = tinyRun({ steps: 4, accumulate: 2 });
  await train(plain);
  expect(await digestOf(run.checkpoint)).not.toBe(await digestOf(plain.checkpoint));
});
