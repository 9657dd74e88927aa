/** @file Stop and resume: the bits of a run that did not stop, after Ctrl-C and after SIGKILL; foreign points refused. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSafetensorsHeader, type TensorToWrite, writeSafetensors } from '@quasar/model';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { textSource, worldSource } from './data/source.ts';
import { distilObjective } from './objectives/distil.ts';
import { clearResume } from './resume.ts';
import { digestOf, TINY, TOKENIZER, tinyCheckpoint, tinyRun } from './testing/tiny.ts';
import { type TrainRun, train } from './trainer.ts';

const FILE = 'resume.safetensors';
const heldOut = { world: worldSource(TOKENIZER) };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quasar-resume-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Stops after step `at` as Ctrl-C does. */
async function stopAt(at: number, run: TrainRun): Promise<void> {
  const controller = new AbortController();
  const stopping = train({
    ...run,
    signal: controller.signal,
    onStep: ({ step }) => {
      if (step === at) controller.abort();
    },
  });
  await expect(stopping).rejects.toMatchObject({ code: 'train.cancelled', retry: 'later' });
}

describe('a stopped run', () => {
  it('goes on to the same bits and the same curve, however often it stops', async () => {
    const settings = { steps: 7, evaluateEvery: 2 };
    const whole = tinyRun(settings, { heldOut });
    const expected = await train(whole);
    for (const at of [2, 5]) await stopAt(at, tinyRun(settings, { heldOut, directory }));
    const resumed = tinyRun(settings, { heldOut, directory });
    const steps: number[] = [];
    const measured: number[] = [];
    const result = await train({
      ...resumed,
      onStep: ({ step }) => steps.push(step),
      onEvaluation: ({ step }) => measured.push(step),
    });
    expect(steps).toEqual([6, 7]);
    expect(measured).toEqual([6, 7]);
    expect(result).toEqual(expected);
    expect(await digestOf(resumed.checkpoint)).toBe(await digestOf(whole.checkpoint));
  });

  it('goes on from its last save after a crash', async () => {
    const settings = { steps: 6, saveEvery: 2, evaluateEvery: 2 };
    const whole = tinyRun(settings, { heldOut });
    const expected = await train(whole);
    const crash = tinyRun(settings, { heldOut, directory });
    const crashing = train({
      ...crash,
      onStep: ({ step }) => {
        if (step === 5) throw new Error('crash');
      },
    });
    await expect(crashing).rejects.toThrow('crash');
    const resumed = tinyRun(settings, { heldOut, directory });
    const steps: number[] = [];
    expect(await train({ ...resumed, onStep: ({ step }) => steps.push(step) })).toEqual(expected);
    expect(steps).toEqual([5, 6]);
    expect(await digestOf(resumed.checkpoint)).toBe(await digestOf(whole.checkpoint));
  });

  it('stopped before its first step it starts at the beginning', async () => {
    const run = tinyRun({}, { directory, signal: AbortSignal.abort() });
    await expect(train(run)).rejects.toMatchObject({ code: 'train.cancelled', hint: expect.stringContaining('again') });
    const steps: number[] = [];
    await train(tinyRun({}, { directory, onStep: ({ step }) => steps.push(step) }));
    expect(steps).toEqual([1, 2, 3, 4]);
  });

  it('without a directory nothing is kept and nothing is promised', async () => {
    await expect(train(tinyRun({}, { signal: AbortSignal.abort() }))).rejects.toMatchObject({
      code: 'train.cancelled',
      hint: undefined,
    });
  });

  it('clearing removes the point, and may be repeated', async () => {
    await stopAt(1, tinyRun({}, { directory }));
    expect(readdirSync(directory)).toEqual([FILE]);
    clearResume(directory);
    clearResume(directory);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('a resume point is refused', () => {
  const mismatch = { code: 'train.resume_mismatch', retry: 'never' };

  /** Expects refusal, an untouched model and an untouched file. */
  async function expectRefused(run: TrainRun): Promise<void> {
    const [weights, file] = [await digestOf(run.checkpoint), readFileSync(join(directory, FILE))];
    await expect(train({ ...run, directory })).rejects.toMatchObject(mismatch);
    expect(await digestOf(run.checkpoint)).toBe(weights);
    expect(readFileSync(join(directory, FILE)).equals(file)).toBe(true);
  }

  it('by a run with other settings, data, objective or model', async () => {
    const text = (...ids: number[]) => textSource('text', Int32Array.from(ids), 2);
    await stopAt(2, tinyRun({}, { directory, source: text(1, 2, 3) }));
    const same = { source: text(1, 2, 3) };
    await expectRefused(tinyRun({ learningRate: 1e-3 }, same));
    await expectRefused(tinyRun({ seed: 'other' }, same));
    await expectRefused(tinyRun({ steps: 5 }, same));
    await expectRefused(tinyRun({}, { source: text(1, 2, 4) }));
    await expectRefused(tinyRun({}, { source: worldSource(TOKENIZER) }));
    const objective = distilObjective(tinyCheckpoint(), { topK: 8 });
    await expectRefused(tinyRun({}, { ...same, objective }));
    for (const config of [
      { ...TINY, d_ff: 64, n_layers: 3 },
      { ...TINY, residual_scale: 0.2 },
    ])
      await expectRefused(tinyRun({}, { ...same, checkpoint: tinyCheckpoint('tiny', undefined, config) }));
    await train(tinyRun({}, { directory, ...same }));
  });

  it('when it is damaged', async () => {
    await stopAt(2, tinyRun({}, { directory }));
    const path = join(directory, FILE);
    const good = readFileSync(path);
    const header = readSafetensorsHeader(good, good.length);
    if (!header.ok) throw new Error();
    const { tensors, metadata } = header.value;
    const progress = JSON.parse(metadata.progress as string);
    const rewritten = (change: (tensors: Map<string, TensorToWrite>) => void, more: Record<string, string> = {}) => {
      const all = new Map<string, TensorToWrite>();
      for (const [name, { shape }] of tensors)
        all.set(name, { shape, dtype: 'F32', values: new Float32Array(shape.reduce((p, n) => p * n, 1)) });
      change(all);
      return writeSafetensors(all, { ...metadata, ...more });
    };
    const norm = (shape: number[], dtype: 'F32' | 'BF16') => ({ shape, dtype, values: new Float32Array(32) });
    for (const bytes of [
      good.subarray(0, good.length - 1),
      new Uint8Array(0),
      rewritten((all) => all.delete('m.model.norm.weight')),
      rewritten((all) => all.set('x', norm([32], 'F32'))),
      rewritten((all) => all.set('p.model.norm.weight', norm([32, 1], 'F32'))),
      rewritten((all) => all.set('p.model.norm.weight', norm([32], 'BF16'))),
      ...[
        { step: 2.5 },
        { step: -1 },
        { step: 99 },
        { step: 'two' },
        { evaluations: {} },
        { positions: [] },
        { guard: {} },
      ].map((change) => rewritten(() => {}, { progress: JSON.stringify({ ...progress, ...change }) })),
      rewritten(() => {}, { progress: '[' }),
      rewritten(() => {}, { run: '' }),
    ]) {
      writeFileSync(path, bytes);
      await expectRefused(tinyRun());
    }
    writeFileSync(path, good);
    await train(tinyRun({}, { directory }));
  });
});

const compiled = fileURLToPath(new URL('../dist/index.js', import.meta.url));

describe.skipIf(!existsSync(compiled))('a run in a process of its own', () => {
  const script = fileURLToPath(new URL('./testing/run-tiny.js', import.meta.url));

  /** Digest of the weights at the end, or null when it was killed after `killAfter` steps. */
  function run(folder: string, killAfter = Number.POSITIVE_INFINITY): Promise<string | null> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.on('data', (data) => {
        output += data;
        if (output.includes(`step ${killAfter}\n`)) child.kill('SIGKILL');
      });
      child.on('error', reject);
      child.on('close', (code, signal) => {
        if (signal === 'SIGKILL') resolve(null);
        else if (code === 0) resolve(output.match(/^weights (\w+)$/m)?.[1] ?? '');
        else reject(new Error(`exit code ${code}`));
      });
    });
  }

  it('killed twice at any moment, it ends with the weights of one that was not', { timeout: 60_000 }, async () => {
    const folder = join(directory, 'killed');
    const [expected] = await Promise.all([
      run(join(directory, 'whole')),
      (async () => {
        expect(await run(folder, 2)).toBeNull();
        expect(await run(folder, 5)).toBeNull();
      })(),
    ]);
    expect(expected).toMatch(/^[0-9a-f]{64}$/);
    expect(await run(folder)).toBe(expected);
  });
});
