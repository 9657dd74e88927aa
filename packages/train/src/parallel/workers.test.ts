/** @file Worker processes: the bits of one process whatever their number, also when one is killed; failures come through. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SIZES } from '@quasar/model';
import { nativeAvailable } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { indexedSource, textSource } from '../data/source.ts';
import { digestOf, TINY, TOKENIZER, tinyCheckpoint, tinyRun } from '../testing/tiny.ts';
import { type StepReport, type TrainRun, train } from '../trainer.ts';
import { workerCompute } from './workers.ts';

const compiled = fileURLToPath(new URL('../../dist/parallel/worker.js', import.meta.url));
const spec = { kind: 'cross_entropy' } as const;

async function digestAfter(run: TrainRun, workers: number | null): Promise<string> {
  const compute: TrainRun['compute'] = (trainee, optimizer) =>
    workerCompute(trainee, optimizer, { workers: workers as number, objective: spec, threads: 1 });
  await train(workers === null ? run : { ...run, compute });
  return digestOf(run.checkpoint);
}

/** Processes that this one started and that are still there. */
const children = (): number[] =>
  execFileSync('ps', ['-o', 'pid=,ppid=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes('worker.js') && line.trim().split(/\s+/)[1] === String(process.pid))
    .map((line) => Number(line.trim().split(/\s+/)[0]));

describe.skipIf(!nativeAvailable() || !existsSync(compiled))('worker processes', () => {
  const small = () => tinyRun({ steps: 3, accumulate: 5, B: 1 });

  it('one, two and four give the weights of none', { timeout: 60_000 }, async () => {
    const expected = await digestAfter(small(), null);
    for (const workers of [1, 2, 4]) expect(await digestAfter(small(), workers)).toBe(expected);
  });

  it('with carried states, Muon, averages and tables of rows, too', { timeout: 60_000 }, async () => {
    const config = {
      ...SIZES['preview-nano'],
      vocab_size: TOKENIZER.vocabSize,
      hidden_size: 32,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      num_key_value_heads: 1,
      head_dim: 16,
      engram_layers: [1],
      engram_dim: 32,
      engram_slots: 4000,
    };
    const settings = { steps: 2, accumulate: 2, B: 1, matrices: 'muon', averageDecay: 0.5 } as const;
    const text = textSource(
      'text',
      Int32Array.from({ length: 400 }, (_, i) => 10 + ((i * i) % 50)),
      64,
    );
    const beside = [{ source: text, B: 1, T: 64, batches: 1, blockTokens: 32 }];
    const run = (given: typeof config | typeof TINY) =>
      tinyRun(settings, { checkpoint: tinyCheckpoint('tiny', undefined, given), beside });
    for (const given of [config, TINY])
      expect(await digestAfter(run(given), 2)).toBe(await digestAfter(run(given), null));
  });

  it('one that is killed is replaced, and no bit changes', { timeout: 60_000 }, async () => {
    const longer = () => tinyRun({ steps: 6, accumulate: 5, B: 1 });
    const expected = await digestAfter(longer(), null);
    let killed = 0;
    const kill = () => {
      const pid = children().at(-1);
      if (pid === undefined) return;
      process.kill(pid, 'SIGKILL');
      killed++;
    };
    // Once between orders, once in the middle of one.
    const onStep = ({ step }: StepReport) => (step === 1 ? kill() : step === 2 ? void setTimeout(kill, 15) : undefined);
    expect(await digestAfter({ ...longer(), onStep }, 2)).toBe(expected);
    expect(killed).toBeGreaterThan(0);
  });

  it('what a worker refuses, the run refuses; nothing is left behind', { timeout: 60_000 }, async () => {
    const shared = () =>
      existsSync('/dev/shm') ? readdirSync('/dev/shm').filter((name) => name.startsWith('quasar-')) : [];
    const before = shared();
    const foreign = indexedSource('foreign', () => ({
      ids: Int32Array.of(1, TOKENIZER.vocabSize),
      weights: Float32Array.of(1, 1),
    }));
    await expect(digestAfter(tinyRun({}, { source: foreign }), 2)).rejects.toMatchObject({
      code: 'model.token_out_of_range',
      hint: 'use the tokenizer of this model',
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(children()).toEqual([]);
    expect(shared()).toEqual(before);
  });
});
