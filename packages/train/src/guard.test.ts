/** @file The guard: what is skipped, what goes back, that a run comes through a bad batch and out of a bad valley. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '@quasar/tensor';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Guard } from './guard.ts';
import { crossEntropyObjective, type Objective } from './objectives/objective.ts';
import { digestOf, tinyRun } from './testing/tiny.ts';
import { type Incident, train } from './trainer.ts';

const settings = { lossRise: 1, patience: 3, maxRollbacks: 2 };

/** A guard that has seen forty steps of loss 2. */
function settled(): Guard {
  const guard = new Guard(settings);
  for (let i = 0; i < 40; i++) guard.judge(2, 1);
  return guard;
}

describe('verdicts', () => {
  it('numbers that are not finite: skipped twice, then divergence', () => {
    const guard = settled();
    for (const [loss, norm] of [
      [Number.NaN, 1],
      [2, Number.POSITIVE_INFINITY],
    ])
      expect(guard.judge(loss as number, norm as number).kind).toBe('skip');
    expect(guard.judge(Number.NaN, 1).kind).toBe('roll_back');
    const other = settled();
    for (let i = 0; i < 5; i++) {
      expect(other.judge(Number.NaN, 1).kind).toBe('skip');
      expect(other.judge(2, 1).kind).toBe('take');
    }
  });

  it('a loss that stays high is divergence, a peak is not', () => {
    const guard = settled();
    expect([3.5, 3.5, 2, 3.5, 3.5].map((loss) => guard.judge(loss, 1).kind)).toEqual(Array(5).fill('take'));
    expect(guard.judge(3.5, 1)).toMatchObject({ kind: 'roll_back', why: expect.stringContaining('2.000') });
    expect(guard.state.mean).toBeCloseTo(2, 6);
  });

  it('a young run may rise, and without a limit any run', () => {
    const young = new Guard(settings);
    for (let i = 0; i < 15; i++) expect(young.judge(i, 1).kind).toBe('take');
    const free = new Guard({ ...settings, lossRise: 0 });
    for (let i = 0; i < 100; i++) expect(free.judge(2 ** (i / 4), 1).kind).toBe('take');
  });

  it('each time back halves the learning rate; then it is enough', () => {
    const guard = settled();
    guard.rolledBack({ ...guard.state, rollbacks: 0 });
    expect([guard.rateFactor, guard.isExhausted]).toEqual([0.5, false]);
    guard.rolledBack({ ...guard.state, rollbacks: 1 });
    expect([guard.rateFactor, guard.isExhausted]).toEqual([0.25, true]);
  });
});

describe('a run', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'quasar-guard-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** Cross-entropy that breaks the weights or the loss at some of its calls, counted from 0. */
  function failing(at: (call: number) => 'nan' | 'wreck' | null): Objective {
    const sound = crossEntropyObjective();
    let call = 0;
    return {
      ...sound,
      evaluate(student, input) {
        const failure = at(call++);
        const norm = student.parameters.get('model.norm.weight') as Tensor;
        if (failure === 'wreck') norm.write(Float32Array.from({ length: norm.size }, (_, i) => 40 * Math.sin(i)));
        const out = sound.evaluate(student, input);
        if (failure === 'nan') out.loss.write([Number.NaN]);
        return out;
      },
    };
  }

  const kinds = (incidents: Incident[]) => incidents.map(({ kind }) => kind);

  it('leaves out one bad step', async () => {
    const incidents: Incident[] = [];
    const steps: number[] = [];
    const objective = failing((call) => (call === 3 ? 'nan' : null));
    await train(
      tinyRun(
        { steps: 6 },
        { objective, onIncident: (i) => incidents.push(i), onStep: ({ step }) => steps.push(step) },
      ),
    );
    expect(incidents).toEqual([{ kind: 'skipped_step', step: 4, why: expect.stringContaining('NaN') }]);
    expect(steps).toEqual([1, 2, 3, 5, 6]);
  });

  const wrecked = { steps: 50, saveEvery: 25, guard: { lossRise: 0.5, patience: 4, maxRollbacks: 2 } };

  it('goes back to its last save when it diverges, and comes to its end', async () => {
    const incidents: Incident[] = [];
    const run = tinyRun(wrecked, {
      directory,
      objective: failing((call) => (call === 30 ? 'wreck' : null)),
      onIncident: (incident) => incidents.push(incident),
    });
    await train(run);
    expect(kinds(incidents)).toEqual(['saved', 'rolled_back', 'saved']);
    expect(incidents[1]).toMatchObject({ toStep: 25, why: expect.stringContaining('mean') });
  });

  it('stopped and resumed between, it ends with the same bits', async () => {
    const whole = tinyRun(wrecked, {
      directory: join(directory, 'whole'),
      objective: failing((call) => (call === 30 ? 'wreck' : null)),
    });
    await train(whole);
    const stopping = new AbortController();
    const stopped = tinyRun(wrecked, {
      directory: join(directory, 'stopped'),
      objective: failing((call) => (call === 30 ? 'wreck' : null)),
      signal: stopping.signal,
      onIncident: ({ kind }) => {
        if (kind === 'rolled_back') stopping.abort();
      },
    });
    await expect(train(stopped)).rejects.toMatchObject({ code: 'train.cancelled' });
    const resumed = tinyRun(wrecked, { directory: join(directory, 'stopped') });
    await train(resumed);
    expect(await digestOf(resumed.checkpoint)).toBe(await digestOf(whole.checkpoint));
  });

  it('that diverges before its first save, or again and again, fails and says why', async () => {
    const wreck = (from: number) => failing((call) => (call >= from ? 'wreck' : null));
    await expect(train(tinyRun(wrecked, { directory, objective: wreck(22) }))).rejects.toMatchObject({
      code: 'train.diverged',
      message: expect.stringContaining('mean'),
      hint: expect.stringContaining('--learning-rate'),
    });
    await expect(train(tinyRun(wrecked, { directory, objective: wreck(26) }))).rejects.toMatchObject({
      code: 'train.diverged',
      message: expect.stringContaining('gone back 2 times'),
    });
  });
});
