/** @file Who is at fault when a unit fails: the model, this machine, or nobody. Over a real queue, with runners that die on demand. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { createHubClient, type LocalHub, serveHub } from '@quasar/hub';
import { type JobOutcome, type JobQueue, openJobQueue } from '@quasar/store';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { manifestSha256 } from '../precheck/source.ts';
import { microWeights, writeCheckpoint } from '../testing/checkpoints.ts';
import { Compute, type UnitInput, type UnitRunner } from './compute.ts';
import { RoundJobs, UnitFailure } from './dispatch.ts';
import { runEvaluator, type UnitReport } from './evaluator.ts';
import { checkpointDigest, ModelStore } from './model-store.ts';
import { type ModelRef, type Unit, unitPayload } from './units.ts';

const root = mkdtempSync(join(tmpdir(), 'quasar-evaluator-'));
const [base, teacher, student] = ['base', 'teacher', 'student'].map((name) => join(root, name)) as [
  string,
  string,
  string,
];
let server: LocalHub;
let models: ModelStore;
let submission: ModelRef & { from: 'hub' };
let queue: JobQueue;
let queues = 0;

beforeAll(async () => {
  for (const directory of [base, teacher, student]) writeCheckpoint(directory, microWeights(directory));
  server = await serveHub({ directory: join(root, 'hub'), port: 0 });
  const hub = createHubClient({ url: server.url, cacheDirectory: join(root, 'cache') });
  const paths = ['config.json', 'model.safetensors', 'tokenizer.json'];
  const { revision } = await hub.publish(
    'ann/model',
    paths.map((path) => ({ path, content: join(student, path) })),
  );
  const files = (await hub.list('ann/model', revision))!;
  submission = { from: 'hub', repo: 'ann/model', revision, manifestSha256: manifestSha256(files) };
  models = new ModelStore({ hub, baseDirectory: base, teacherDirectory: teacher });
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true });
});
beforeEach(async () => {
  queue = await openJobQueue(join(root, `queue-${queues++}.sqlite`));
});
afterEach(() => queue.close());

const answers = (model: ModelRef): Extract<Unit, { kind: 'answers' }> => ({
  ...{ kind: 'answers', version: 1, model, prompts: [Int32Array.of(1, 2, 3)], maxNewTokens: 2 },
});

/** Runs an evaluator until the unit has an outcome that `done` accepts. */
async function evaluate(
  unit: Unit,
  runner: UnitRunner,
  done: (outcome: JobOutcome) => boolean = ({ state }) => state === 'done' || state === 'failed',
): Promise<{ outcome: JobOutcome; reports: UnitReport[] }> {
  await queue.add([{ kind: unit.kind, key: 'k', payload: unitPayload(unit) }]);
  const stop = new AbortController();
  const reports: UnitReport[] = [];
  const working = runEvaluator({
    ...{ queue, models, runner, signal: stop.signal },
    onUnit: (report) => reports.push(report),
  });
  try {
    for (;;) {
      const outcome = (await queue.outcomes(unit.kind, ['k'])).get('k')!;
      if (done(outcome)) return { outcome, reports };
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  } finally {
    stop.abort();
    await working;
    await runner.close();
  }
}

/** Counts runs and fresh starts; `die` says which runs end as a crash. */
function dying(die: (input: UnitInput, run: number) => boolean) {
  const compute = new Compute({ threads: 1 });
  const counts = { runs: 0, closed: 0 };
  const runner: UnitRunner = {
    async run(input, options) {
      if (die(input, ++counts.runs)) throw new QuasarError('evaluation.crashed', 'ended with SIGSEGV');
      return compute.run(input, options);
    },
    async close() {
      counts.closed++;
      await compute.close();
    },
  };
  return { runner, counts };
}

describe('a unit whose process dies', () => {
  it('once: nobody hears of it', async () => {
    const { runner, counts } = dying((_, run) => run === 1);
    const { outcome } = await evaluate(answers(submission), runner);
    expect(outcome).toMatchObject({ state: 'done', attempt: 1, error: null });
    expect(counts).toEqual({ runs: 2, closed: 2 }); // a fresh process for the second try; one at the end
  });

  it('twice, where the base model goes through: the model is at fault', async () => {
    const { runner, counts } = dying(({ directories }) => directories[0] !== base);
    const { outcome, reports } = await evaluate(answers(submission), runner);
    expect(outcome).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'evaluation.crashed' } });
    expect(reports).toMatchObject([{ kind: 'answers', model: 'ann/model', error: { code: 'evaluation.crashed' } }]);
    expect(counts.runs).toBe(3);
  });

  it('twice, and the base model as well: the machine is at fault, the unit goes on to another', async () => {
    const broken = dying(() => true);
    const { outcome } = await evaluate(answers(submission), broken.runner, ({ attempt }) => attempt >= 1);
    expect(outcome.state).not.toBe('failed');
    expect((await evaluate(answers(submission), new Compute())).outcome.state).toBe('done');
  });

  it('with the base model itself: there is nothing to compare with, it fails', async () => {
    const { runner } = dying(() => true);
    const { outcome } = await evaluate(answers({ from: 'base', sha256: await checkpointDigest(base) }), runner);
    expect(outcome).toMatchObject({ state: 'failed', error: { code: 'evaluation.crashed' } });
  });
});

describe('models', () => {
  it('a revision that is gone, or holds other files than were checked, fails without a try', async () => {
    const gone = { ...submission, revision: 'd'.repeat(40) };
    expect((await evaluate(answers(gone), new Compute())).outcome.error).toMatchObject({ code: 'hub.not_found' });
    await queue.forget('k');
    const other = { ...submission, manifestSha256: 'e'.repeat(64) };
    const { error } = (await evaluate(answers(other), new Compute())).outcome;
    expect(error).toMatchObject({ code: 'evaluation.wrong_model' });
  });

  it('an evaluator with another base gives the unit back', async () => {
    const foreign: ModelRef = { from: 'base', sha256: 'e'.repeat(64) };
    const { outcome, reports } = await evaluate(answers(foreign), new Compute(), ({ attempt }) => attempt >= 1);
    expect(outcome.state).not.toBe('failed');
    expect(reports).toMatchObject([{ error: { code: 'evaluation.wrong_model' } }]);
  });

  it('what else lies in the folder of a checkpoint does not change its name', async () => {
    const before = await checkpointDigest(base);
    writeFileSync(join(base, 'curve.json'), '{}');
    expect(await checkpointDigest(base)).toBe(before);
    expect(await checkpointDigest(teacher)).not.toBe(before);
  });
});

describe('collecting results', () => {
  const jobs = (signal = new AbortController().signal) => new RoundJobs(queue, 'round/x', { signal, check: () => {} });

  it.each([
    ['queue.poison', 'later'],
    ['hub.not_found', 'later'],
    ['evaluation.wrong_model', 'later'],
    ['evaluation.crashed', 'never'],
    ['evals.not_finite', 'never'],
    ['checkpoint.not_finite', 'never'],
  ])('%s: try again %s', async (code, retry) => {
    const stop = new AbortController();
    const working = queue.work({
      ...{ kinds: ['answers'], signal: stop.signal },
      handler: async () => {
        throw new QuasarError(code, 'it failed', { hint: 'look' });
      },
    });
    const failed = jobs().results('ann', [answers(submission)], [0]);
    await expect(failed).rejects.toBeInstanceOf(UnitFailure);
    await expect(failed).rejects.toMatchObject({ code, retry, hint: 'look', message: 'it failed' });
    stop.abort();
    await working;
  });

  it('a result that is none says nothing about the model; one that is there is not computed again', async () => {
    const stop = new AbortController();
    let calls = 0;
    const working = queue.work({
      ...{ kinds: ['answers'], signal: stop.signal },
      handler: async () => (++calls === 1 ? { replies: [{ tokens: 'AAAAAA==', finished: true }] } : { replies: 7 }),
    });
    const [one, two] = [answers(submission), answers(submission)];
    const sofar: number[] = [];
    const first = await jobs().results('ann', [one], [0], (done) => sofar.push(done.length));
    expect(first).toEqual([{ replies: [{ tokens: Int32Array.of(0), finished: true }] }]);
    expect(sofar).toEqual([1]);
    await expect(jobs().results('bob', [two], [0])).rejects.toMatchObject({
      code: 'evaluation.bad_result',
      retry: 'later',
    });
    expect(await jobs().results('ann', [one], [0])).toEqual(first); // from the queue, not computed again
    expect(calls).toBe(2);
    stop.abort();
    await working;
  });
});
