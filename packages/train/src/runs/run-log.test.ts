/** @file The record of a run: what it tells, that a kill at any byte leaves it readable, and that repeated steps count once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tinyStage } from '../testing/tiny-stage.ts';
import { latestEvents, readEvents } from './event-file.ts';
import type { EventOf, RunEvent } from './events.ts';
import { runState } from './registry.ts';
import { RunFolder } from './run-folder.ts';
import { RunLog } from './run-log.ts';
import { RunSummary } from './run-summary.ts';

let out: string;
let folder: RunFolder;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'quasar-run-'));
  folder = new RunFolder(out);
});
afterEach(() => rmSync(out, { recursive: true }));

const eventsOf = (path = folder.eventsFile) => [...readEvents(path).events];
const only = <K extends RunEvent['type']>(events: readonly RunEvent[], type: K) =>
  events.filter((event): event is EventOf<K> => event.type === type);
const stepsOf = (events: readonly RunEvent[]) => only(events, 'step').map(({ step }) => step);
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

describe('a run', () => {
  it('tells how it goes, from start to end', async () => {
    const told = await tinyStage(out, { steps: 8, evaluateEvery: 4, saveEvery: 3 });
    const events = eventsOf();
    expect(events).toEqual(JSON.parse(JSON.stringify(told)));
    expect(events.map(({ type }) => type).filter((type) => type !== 'step')).toEqual([
      'started',
      'evaluation',
      'saved',
      'evaluation',
      'saved',
      'evaluation',
      'finished',
    ]);
    const [started] = only(events, 'started');
    expect(started).toMatchObject({ stage: 'pretrain', resumedAtStep: null, workers: 1, settings: { steps: 8 } });
    for (const x of [started?.flopsPerToken, started?.peakGflops, started?.predictedMs]) expect(x).toBeGreaterThan(0);
    expect(stepsOf(events)).toEqual(upTo(8));
    for (const step of only(events, 'step')) {
      const { tokensPerSecond, peakShare } = step;
      const flops = (started?.flopsPerToken as number) * tokensPerSecond;
      expect(peakShare).toBeCloseTo(flops / (1e9 * (started?.peakGflops as number)), 12);
      expect(step.tokens).toBe(step.step * 2 * 48);
      expect(step.rssBytes).toBeGreaterThan(1e7);
      const { load, bias } = step.router as NonNullable<typeof step.router>;
      expect([load, bias].map((layers) => layers.map((experts) => experts.length))).toEqual([
        [4, 4],
        [4, 4],
      ]);
      for (const shares of load) expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1, 3);
    }
    expect(
      only(events, 'step')
        .at(-1)
        ?.router?.bias.flat()
        .some((x) => x !== 0),
    ).toBe(true);
    expect(folder.readRecord().record).toMatchObject({
      stage: 'pretrain',
      settings: { steps: 8 },
      data: { name: 'world' },
    });
    expect(runState(folder, latestEvents(folder.eventsFile).end)).toBe('done');
    expect(readFileSync(folder.reportFile, 'utf8')).toContain('class="state done"');
  });

  it('that stops and goes on counts every step once', async () => {
    const settings = { steps: 6, evaluateEvery: 1, saveEvery: 4 };
    const controller = new AbortController();
    const stopped = tinyStage(out, settings, {
      signal: controller.signal,
      onStep: ({ step }) => {
        if (step === 2) controller.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: 'train.cancelled' });
    expect(runState(folder, latestEvents(folder.eventsFile).end)).toBe('interrupted');
    const { startedAt } = folder.readRecord().record;
    const crashed = tinyStage(out, settings, {
      onStep: ({ step }) => {
        if (step === 6) throw new Error('crash');
      },
    });
    await expect(crashed).rejects.toThrow('crash');
    expect(latestEvents(folder.eventsFile)).toMatchObject({
      step: { step: 6 },
      end: { type: 'failed', message: 'crash' },
    });
    await tinyStage(out, settings);
    const events = eventsOf();
    expect(only(events, 'started').map(({ resumedAtStep }) => resumedAtStep)).toEqual([null, 2, 4]);
    expect(stepsOf(events)).toEqual(upTo(6));
    expect(only(events, 'evaluation').map(({ step }) => step)).toEqual([0, ...upTo(6)]);
    expect(folder.readRecord().record.startedAt).toBe(startedAt);
    expect(RunSummary.of(readEvents(folder.eventsFile)).end?.type).toBe('finished');
  });

  it('that begins anew leaves nothing of the one before', async () => {
    await tinyStage(out, { steps: 4 });
    await tinyStage(out, { steps: 2 });
    const events = eventsOf();
    expect(stepsOf(events)).toEqual([1, 2]);
    expect(only(events, 'finished')).toHaveLength(1);
    expect(latestEvents(folder.eventsFile).step).toMatchObject({ step: 2, steps: 2 });
  });

  it('that is refused leaves the folder as it was', async () => {
    const controller = new AbortController();
    const stopped = tinyStage(out, {}, { signal: controller.signal, onStep: () => controller.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'train.cancelled' });
    const before = [folder.eventsFile, folder.recordFile].map((path) => readFileSync(path, 'utf8'));
    await expect(tinyStage(out, { seed: 'other' })).rejects.toMatchObject({ code: 'train.resume_mismatch' });
    expect([folder.eventsFile, folder.recordFile].map((path) => readFileSync(path, 'utf8'))).toEqual(before);
  });
});

describe('events', () => {
  it('are whole after a kill at any byte, and writing goes on behind them', async () => {
    await tinyStage(out, { steps: 3 });
    const whole = readFileSync(folder.eventsFile);
    const lines = whole.toString().split('\n').slice(0, -1);
    const lastStart = whole.length - (lines.at(-1) as string).length - 1;
    for (const length of [
      whole.length,
      whole.length - 1,
      whole.length - 20,
      lastStart + 1,
      lastStart,
      lastStart - 1,
      5,
    ]) {
      writeFileSync(folder.eventsFile, whole);
      truncateSync(folder.eventsFile, length);
      const complete = whole.subarray(0, length).toString().split('\n').length - 1;
      expect(eventsOf()).toHaveLength(complete);
      const log = RunLog.open(out);
      log.append({ type: 'interrupted', step: 3 });
      log.close();
      const reader = readEvents(folder.eventsFile);
      expect([...reader.events].slice(0, -1)).toEqual(lines.slice(0, complete).map((line) => JSON.parse(line)));
      expect(reader.brokenLines).toBe(0);
      expect(latestEvents(folder.eventsFile).end?.type).toBe('interrupted');
    }
  });

  it('that are broken are counted, unknown ones pass', async () => {
    await tinyStage(out, { steps: 2 });
    const before = eventsOf();
    const at = new Date().toISOString();
    const [step] = only(before, 'step');
    const lines = [
      'no JSON',
      '[]',
      JSON.stringify({ ...step, tokens: '96' }),
      JSON.stringify({ ...step, metrics: { ce: null } }),
      JSON.stringify({ type: 'saved', at, step: 1 }),
      JSON.stringify({ type: 'interrupted', at: 'yesterday', step: 1 }),
      JSON.stringify({ type: 'from_the_future', at, anything: 1 }),
    ];
    appendFileSync(folder.eventsFile, `${lines.join('\n')}\n`);
    const reader = readEvents(folder.eventsFile);
    expect([...reader.events]).toEqual(before);
    expect([reader.brokenLines, reader.unknownEvents]).toEqual([6, 1]);
  });

  it('are found from the end of a long file too', async () => {
    await tinyStage(out, { steps: 2, evaluateEvery: 1 });
    const [step] = only(eventsOf(), 'step');
    const more = Array.from({ length: 1500 }, (_, i) => JSON.stringify({ ...step, step: i + 3 }));
    appendFileSync(folder.eventsFile, `${more.join('\n')}\n{"type":"st`);
    expect(latestEvents(folder.eventsFile)).toMatchObject({ step: { step: 1502 }, evaluation: { step: 2 } });
    expect(latestEvents(folder.eventsFile, 5000)).toMatchObject({ step: { step: 1502 } });
  });
});

describe('the folder of a run', () => {
  it('is held by one process at a time', () => {
    const log = RunLog.open(out);
    expect(() => RunLog.open(out)).toThrow(expect.objectContaining({ code: 'train.run_active', retry: 'later' }));
    expect(runState(folder, null)).toBe('running');
    log.close();
    RunLog.open(out).close();
    expect(existsSync(folder.lockFile)).toBe(false);
  });

  it('is taken over from a process that was killed', { timeout: 60_000 }, async () => {
    const program = fileURLToPath(new URL('../testing/run-stage.js', import.meta.url));
    const child = spawn(process.execPath, [program, out], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    let text = '';
    for await (const chunk of child.stdout) {
      text += chunk;
      if (text.includes('step 6')) child.kill('SIGKILL');
    }
    await exited;
    expect(existsSync(folder.lockFile)).toBe(true);
    expect(runState(folder, latestEvents(folder.eventsFile).end)).toBe('killed');
    expect(stepsOf(eventsOf()).length).toBeGreaterThanOrEqual(6);
    RunLog.open(out).close();
  });
});
