/** @file Objectives from plain JSON: what opens, what tells one teacher from another, what is refused. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveCheckpoint, trainBpe } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TINY, TOKENIZER, tinyCheckpoint, tinyRun } from '../testing/tiny.ts';
import { train } from '../trainer.ts';
import { type ObjectiveSpec, openObjective } from './spec.ts';

const device = openDevice('auto');
const student = tinyCheckpoint('student');
const root = mkdtempSync(join(tmpdir(), 'quasar-objective-'));
const at = (name: string) => join(root, name);
beforeAll(async () => {
  for (const name of ['teacher', 'other']) await saveCheckpoint(at(name), tinyCheckpoint(name), 'BF16');
  cpSync(at('teacher'), at('copy'), { recursive: true });
});
afterAll(() => rmSync(root, { recursive: true }));

const open = (spec: ObjectiveSpec) => openObjective(JSON.parse(JSON.stringify(spec)), student, device);

it.each<ObjectiveSpec>([
  { kind: 'cross_entropy' },
  { kind: 'distil', teacher: at('teacher') },
  {
    kind: 'distil',
    teacher: at('teacher'),
    terms: { forward: 0.5, js: 0.4, ce: 0.1 },
    temperature: 2,
    hidden: { layers: [[0, 1]], weight: 0.1 },
    onPolicy: { share: 0.5, newTokens: 4 },
  },
])('opens and trains: %j', async (spec) => {
  const objective = await open(spec);
  const losses: number[] = [];
  const onStep = ({ metrics }: { metrics: Record<string, number> }) => losses.push(metrics.loss as number);
  await train(tinyRun({ steps: 2 }, { checkpoint: tinyCheckpoint('student'), objective, onStep }));
  expect(losses.every((loss) => Number.isFinite(loss) && loss > 0)).toBe(true);
  objective.dispose?.();
});

it('a teacher is known by its weights, an objective by its options', async () => {
  const of = async (spec: ObjectiveSpec) => {
    const { name, fingerprint, dispose } = await open(spec);
    dispose?.();
    return { name, fingerprint };
  };
  const teacher = await of({ kind: 'distil', teacher: at('teacher') });
  expect(teacher.fingerprint).toMatch(/^[0-9a-f]{64}$/);
  expect(await of({ kind: 'distil', teacher: at('copy') })).toEqual(teacher);
  const other = await of({ kind: 'distil', teacher: at('other') });
  expect(other.name).toBe(teacher.name);
  expect(other.fingerprint).not.toBe(teacher.fingerprint);
  expect((await of({ kind: 'distil', teacher: at('teacher'), temperature: 2 })).name).not.toBe(teacher.name);
  expect((await of({ kind: 'distil' })).fingerprint).toBeUndefined();
  expect((await of({ kind: 'mimic' })).name).toBe('mimic');
});

it('refuses teachers of another vocabulary, folders without a checkpoint, and what it does not know', async () => {
  const larger = tinyCheckpoint('larger', undefined, { ...TINY, vocab_size: TINY.vocab_size + 1 });
  const tokenizer = trainBpe(['quite another language, quite another'], { vocabSize: TOKENIZER.vocabSize });
  for (const [name, checkpoint] of Object.entries({ larger, retold: { ...tinyCheckpoint(), tokenizer } })) {
    await saveCheckpoint(at(name), checkpoint, 'BF16');
    await expect(open({ kind: 'distil', teacher: at(name) })).rejects.toMatchObject({ code: 'train.vocabulary' });
  }
  await expect(open({ kind: 'distil', teacher: root })).rejects.toMatchObject({ code: 'checkpoint.invalid' });
  const unknown = { kind: 'rewards' } as unknown as ObjectiveSpec;
  await expect(open(unknown)).rejects.toMatchObject({ code: 'train.bad_objective' });
});
