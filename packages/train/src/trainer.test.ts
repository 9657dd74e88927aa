/** @file The training loop: it learns, it reports, it stops on nonsense, it keeps its memory in order. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { loadCheckpoint, saveCheckpoint } from '@quasar/model';
import { referenceDevice, type Tensor } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import type { Document } from './data/batch.ts';
import { indexedSource, worldSource } from './data/source.ts';
import { distilObjective } from './objectives/distil.ts';
import { crossEntropyObjective } from './objectives/objective.ts';
import { digestOf, TINY, TOKENIZER, tinyCheckpoint, tinyRun } from './testing/tiny.ts';
import { type StepReport, train } from './trainer.ts';

const heldOut = { world: worldSource(TOKENIZER) };

describe('learning', () => {
  it('thirty steps lower the loss on what was never trained on', async () => {
    const reports: StepReport[] = [];
    const run = tinyRun({ steps: 30, evaluateEvery: 10 }, { heldOut, onStep: (report) => reports.push(report) });
    const { evaluations } = await train(run);
    const ce = evaluations.map((e) => e.heldOut.world?.ce as number);
    expect(evaluations.map(({ step }) => step)).toEqual([0, 10, 20, 30]);
    expect(ce[0]).toBeCloseTo(Math.log(TOKENIZER.vocabSize), 0);
    expect(ce[3]).toBeLessThan((ce[0] as number) - 1);
    expect(reports.map(({ step }) => step)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    for (const { metrics, gradientNorm, tokensPerSecond, etaMs, learningRate, steps } of reports) {
      expect(metrics.ce).toBeGreaterThan(0);
      for (const x of [gradientNorm, tokensPerSecond, learningRate]) expect(x).toBeGreaterThan(0);
      expect(etaMs).toBeGreaterThanOrEqual(0);
      expect(steps).toBe(30);
    }
    expect(reports.at(-1)?.etaMs).toBe(0);
  });

  it('distillation brings the student closer to the teacher', async () => {
    const teacher = tinyCheckpoint('teacher');
    const head = teacher.parameters.get('lm_head.weight') as Tensor;
    head.write((await head.read()).map((x) => 3 * x) as Float32Array);
    const before = await digestOf(teacher);
    const objective = distilObjective(teacher, { topK: 32 });
    const run = tinyRun({ steps: 40, learningRate: 1e-2 }, { objective, heldOut });
    const { evaluations } = await train(run);
    const [start, end] = evaluations.map((e) => e.heldOut.world?.kl as number);
    expect(end).toBeLessThan(0.8 * (start as number));
    expect(await digestOf(teacher)).toBe(before);
  });

  it('a teacher has nothing to teach itself', async () => {
    const teacher = tinyCheckpoint();
    const objective = distilObjective(teacher, { topK: 1e9 });
    const { evaluations } = await train(tinyRun({ steps: 0 }, { objective, heldOut }));
    expect(Math.abs(evaluations[0]?.heldOut.world?.kl as number)).toBeLessThan(1e-5);
  });

  it('equal seeds give equal bits, with recompute or without, another seed others', async () => {
    const trained = async (seed: string, recompute = false) => {
      const run = tinyRun({ seed, steps: 3 }, { recompute });
      await train(run);
      return digestOf(run.checkpoint);
    };
    const one = await trained('a');
    expect(await trained('a')).toBe(one);
    expect(await trained('a', true)).toBe(one);
    expect(await trained('b')).not.toBe(one);
  });

  it('documents without a target change nothing but by decay', async () => {
    const silent = indexedSource('silent', (): Document => ({ ids: Int32Array.of(5), weights: Float32Array.of(1) }));
    const run = tinyRun({ steps: 2 }, { source: silent });
    run.checkpoint.config = { ...TINY, moe_aux_loss_coeff: 0, moe_z_loss_coeff: 0 };
    const norm = run.checkpoint.parameters.get('model.norm.weight') as Tensor;
    const before = (await norm.read()).slice();
    const reports: StepReport[] = [];
    await train({ ...run, onStep: (report) => reports.push(report) });
    expect(reports.map(({ metrics, gradientNorm }) => [metrics.ce, gradientNorm])).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(await norm.read()).toEqual(before);
  });
});

describe('refusing', () => {
  it('weights that are not numbers: nothing is changed', async () => {
    const run = tinyRun();
    const weight = run.checkpoint.parameters.get('model.norm.weight') as Tensor;
    const values = (await weight.read()).slice();
    values[3] = Number.NaN;
    weight.write(values);
    const before = await digestOf(run.checkpoint);
    await expect(train(run)).rejects.toMatchObject({ code: 'train.diverged', retry: 'never', data: { step: 0 } });
    expect(await digestOf(run.checkpoint)).toBe(before);
  });

  it('a learning rate that blows the model up', async () => {
    const run = tinyRun({ steps: 20, learningRate: 1e30, warmupSteps: 0 });
    await expect(train(run)).rejects.toMatchObject({ code: 'train.diverged' });
  });

  it('documents of another vocabulary', async () => {
    const foreign = (id: number) =>
      indexedSource('foreign', (): Document => ({ ids: Int32Array.of(1, id), weights: Float32Array.of(1, 1) }));
    const run = (T: number) => train(tinyRun({ B: 1, T }, { source: foreign(TOKENIZER.vocabSize) }));
    await expect(run(2)).rejects.toMatchObject({ code: 'model.token_out_of_range' });
    // Only the target of a row's last token lies outside.
    await expect(run(1)).rejects.toMatchObject({ code: 'data.token_out_of_range' });
  });
});

describe('memory', () => {
  it('comes back after a run, however it ended', async () => {
    const live = new Set<unknown>();
    const reference = referenceDevice({ precision: 'f32' });
    const counting = {
      ...reference,
      allocate(...args: Parameters<typeof reference.allocate>) {
        const buffer = reference.allocate(...args);
        live.add(buffer);
        return buffer;
      },
      free(buffer: Tensor['buffer']) {
        live.delete(buffer);
        reference.free(buffer);
      },
    };
    const checkpoint = tinyCheckpoint('memory', counting);
    const weights = live.size;
    const small = { B: 1, T: 9, steps: 1 };
    await train(tinyRun(small, { checkpoint, heldOut }));
    expect(live.size).toBe(weights);
    const objective = distilObjective(checkpoint, { topK: 4, terms: { forward: 0.5, ce: 0.5 } });
    await train(tinyRun(small, { checkpoint, objective }));
    expect(live.size).toBe(weights);
    const failing = () => {
      throw new QuasarError('test.stop', 'stop');
    };
    await expect(train(tinyRun(small, { checkpoint, onStep: failing }))).rejects.toThrow('stop');
    checkpoint.parameters.get('model.norm.weight')?.write(new Float32Array(32).fill(Number.NaN));
    await expect(train(tinyRun(small, { checkpoint }))).rejects.toMatchObject({ code: 'train.diverged' });
    expect(live.size).toBe(weights);
  });
});

it('a trained model survives its checkpoint', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quasar-train-'));
  try {
    const run = tinyRun({ steps: 2 }, { objective: crossEntropyObjective() });
    await train(run);
    expect(readdirSync(directory)).toEqual([]);
    await saveCheckpoint(directory, run.checkpoint, 'F32');
    const device = (run.checkpoint.parameters.get('lm_head.weight') as Tensor).device;
    expect(await digestOf(loadCheckpoint(directory, device))).toBe(await digestOf(run.checkpoint));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
