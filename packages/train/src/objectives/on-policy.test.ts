/** @file On-policy batches: what the student writes after beginnings of documents, and that a teacher corrects it. */
import { describe, expect, it } from 'vitest';
import { pack, weightOf } from '../data/batch.ts';
import { worldSource } from '../data/source.ts';
import { digestOf, TOKENIZER, tinyCheckpoint, tinyRun } from '../testing/tiny.ts';
import { train } from '../trainer.ts';
import { distilObjective } from './distil.ts';
import { ownBatch } from './on-policy.ts';

const student = tinyCheckpoint('student');
const teacher = tinyCheckpoint('teacher');
const batchOf = (seed: string, T = 60) => pack(worldSource(TOKENIZER).open(seed), 2, T);

describe('a batch of its own', () => {
  it('has beginnings of documents, and behind them as many tokens as asked for, which alone count', async () => {
    const batch = batchOf('a');
    const own = await ownBatch(student, batch, 'seed', 7);
    expect([own.B, own.T, own.tokens.length, own.isOwn]).toEqual([2, 60, 120, true]);
    const text = (ids: Int32Array) => `,${ids.join()},`;
    const given = [0, 1].map((b) => text(batch.tokens.subarray(b * 60, (b + 1) * 60))).join('');
    const starts = [...own.positions.keys()].filter((i) => own.positions[i] === 0);
    for (const [i, start] of starts.entries()) {
      const end = Math.min(starts[i + 1] ?? 120, 60 * (Math.floor(start / 60) + 1));
      const counted = [...own.weights.subarray(start, end)].map((w, t) => (w > 0 ? t : -1)).filter((t) => t >= 0);
      const first = counted[0] ?? end - start;
      // The last token of the beginning predicts the first of the student's.
      expect(given).toContain(text(own.tokens.subarray(start, start + first + (counted.length > 0 ? 1 : 0))));
      if (end < 60 * (Math.floor(start / 60) + 1)) expect(counted.length).toBe(7);
    }
    expect(weightOf(own)).toBeGreaterThan(30);
  });

  it('is a function of weights, batch and seed', async () => {
    const batch = batchOf('a');
    const own = await ownBatch(student, batch, 'seed', 7);
    expect(await ownBatch(student, batch, 'seed', 7)).toEqual(own);
    expect(await ownBatch(student, batch, 'other', 7)).not.toEqual(own);
    expect(await ownBatch(teacher, batch, 'seed', 7)).not.toEqual(own);
  });

  it('is the batch itself where documents have one token', async () => {
    const one = pack({ next: () => ({ ids: Int32Array.of(5), weights: Float32Array.of(1) }) }, 1, 8);
    expect(await ownBatch(student, one, 'seed')).toBe(one);
  });
});

it('a share of the batches is on-policy, which ones the seed says', async () => {
  const objective = distilObjective(teacher, { onPolicy: { share: 0.4, newTokens: 2 } });
  const batch = batchOf('b', 12);
  let own = 0;
  for (let i = 0; i < 40; i++) {
    const prepared = await objective.prepare?.(student, batch, `seed/${i}`);
    if (prepared?.isOwn) own++;
    else expect(prepared).toBe(batch);
  }
  expect(own).toBeGreaterThan(6);
  expect(own).toBeLessThan(30);
});

it('brings the student near the teacher on what the student writes; twice the same bits', async () => {
  const run = async () => {
    const checkpoint = tinyCheckpoint('learner');
    const objective = distilObjective(teacher, {
      onPolicy: { share: 1, newTokens: 12, terms: { reverse: 1, forward: 0.1 } },
    });
    const values: number[] = [];
    const onStep = ({ metrics }: { metrics: Record<string, number> }) => {
      expect(Object.keys(metrics).sort()).toEqual(['loss', 'own_kl', 'own_reverse_kl']);
      values.push(metrics.own_reverse_kl as number);
    };
    await train(tinyRun({ steps: 10, learningRate: 1e-2 }, { checkpoint, objective, onStep }));
    return { values, digest: await digestOf(checkpoint) };
  };
  const { values, digest } = await run();
  expect(values.at(-1)).toBeLessThan(0.8 * (values[0] as number));
  expect((await run()).digest).toBe(digest);
});
