/** @file A run with many steps is read in part: all that is rare, the newest step, and enough steps for its curves. */
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEvents } from './event-file.ts';
import { runRow } from './registry.ts';
import { RunFolder } from './run-folder.ts';
import { RunSummary } from './run-summary.ts';

const STEPS = 100_000;
/** A save every so many steps; a kill after one of them, and steps that are done again. */
const SAVES = 500;
const KILLED_AT = 60_333;

let root: string;
let file: string;

const at = (step: number) => new Date(1.7e12 + 10 * step).toISOString();
const step = (n: number, loss = 7 / Math.sqrt(n) + (n % 17) / 1000) => ({
  ...{ type: 'step', at: at(n), step: n, steps: STEPS, tokens: 96 * n, metrics: { ce: loss } },
  ...{ learningRate: 1e-3, gradientNorm: 1 + (n % 5), tokensPerSecond: 5000 },
  ...{ peakShare: 0.25, etaMs: 10, rssBytes: 1e8, deviceBytes: 1e7 },
  ...(n % 2000 === 0 ? { router: { load: [[0.25, 0.75]], bias: [[n, -n]] } } : {}),
});
const started = (resumedAtStep: number | null) => ({
  ...{ type: 'started', at: at(resumedAtStep ?? 0), stage: 'pretrain', name: 'long', parameters: 10 },
  ...{ activeParameters: 10, flopsPerToken: 60, peakGflops: 10, predictedMs: 1000, resumedAtStep, workers: 1 },
  ...{ settings: {}, data: { name: 'world' } },
});

/** Of another run, which this one replaced; then the run. */
function* lines(): Generator<string> {
  yield JSON.stringify(started(null));
  for (let n = 1; n <= 20_000; n++) yield JSON.stringify(step(n, 99));
  yield JSON.stringify(started(null));
  yield JSON.stringify({ type: 'evaluation', at: at(0), step: 0, heldOut: { world: { ce: 7 } } });
  for (let n = 1; n <= STEPS; n++) {
    yield JSON.stringify(step(n));
    if (n % SAVES === 0) {
      yield JSON.stringify({ type: 'evaluation', at: at(n), step: n, heldOut: { world: { ce: n } } });
      yield JSON.stringify({ type: 'saved', at: at(n), step: n, bytes: 1, ms: 1 });
    }
    if (n === KILLED_AT) {
      yield 'torn';
      const saved = n - (n % SAVES);
      yield JSON.stringify(started(saved));
      for (let again = saved + 1; again <= n; again++) yield JSON.stringify(step(again));
    }
  }
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-long-run-'));
  const folder = new RunFolder(root);
  file = folder.eventsFile;
  mkdirSync(folder.root);
  const fd = openSync(file, 'w');
  let text = '';
  for (const line of lines()) {
    text += `${line}\n`;
    if (text.length < 1 << 22) continue;
    writeSync(fd, text);
    text = '';
  }
  writeSync(fd, `${text}{"type":"step","at":"20`);
  closeSync(fd);
});
afterAll(() => rmSync(root, { recursive: true }));

describe('a run of many steps', () => {
  it('gives some of them, and everything else', () => {
    const reader = readEvents(file, { mostSteps: 1000 });
    const events = [...reader.events];
    expect(reader.every).toBe(100);
    expect(reader.brokenLines).toBe(1);
    const only = (type: string) => events.filter((event) => event.type === type);
    const found = only('step').map((event) => (event as { step: number }).step);
    // Each 100th, the newest before each save, those with the load of experts.
    expect(found.length).toBeLessThan(1000 + STEPS / SAVES + STEPS / 2000 + 10);
    expect(found.at(-1)).toBe(STEPS);
    expect(found).toEqual([...found].sort((a, b) => a - b));
    expect(found.filter((n) => n % 2000 === 0)).toHaveLength(STEPS / 2000);
    for (const type of ['evaluation', 'saved'])
      expect(only(type).map((event) => (event as { step: number }).step)).toEqual([
        ...(type === 'saved' ? [] : [0]),
        ...Array.from({ length: STEPS / SAVES }, (_, i) => SAVES * (i + 1)),
      ]);
    expect(only('started')).toHaveLength(2);
    // An evaluation comes right after its step.
    const evaluated = events.flatMap((event, i) =>
      event.type === 'evaluation' && i > 1 ? [[event.step, (events[i - 1] as { step?: number }).step]] : [],
    );
    for (const [own, before] of evaluated) expect(before).toBe(own);
  });

  it('amounts to what all of its steps amount to', () => {
    const whole = RunSummary.of(readEvents(file, { mostSteps: Number.POSITIVE_INFINITY }));
    const some = RunSummary.of(readEvents(file));
    expect(some.step).toEqual(whole.step);
    expect(some.started).toEqual(whole.started);
    expect(some.elapsedMs).toBe(whole.elapsedMs);
    expect(some.evaluations.items).toEqual(whole.evaluations.items);
    expect([...some.marks].map(([type, marks]) => [type, marks.seen])).toEqual([['saved', STEPS / SAVES]]);
    expect(some.router.items).toEqual(whole.router.items);
    const curves = [whole, some].map(({ metrics }) => metrics.get('ce')?.bins ?? []);
    for (const bins of curves) {
      expect(bins.length).toBeGreaterThan(250);
      expect(bins.length).toBeLessThanOrEqual(600);
      expect(bins.reduce((sum, { count }) => sum + count, 0) / STEPS).toBeCloseTo(1, 2);
    }
    // Means over windows of the same place are those of the function that was logged.
    for (const { step: n, value, count } of curves[1]?.slice(5, -5) ?? []) {
      expect(count).toBeGreaterThan(50);
      expect(Math.abs(value - 7 / Math.sqrt(n) - 0.008)).toBeLessThan(0.004);
    }
    // A run that goes on writes each step: its bins stay as wide.
    const width = some.learningRate.bins[0]?.count as number;
    for (let n = STEPS + 1; n <= STEPS + 10 * width; n++) some.learningRate.add(n, 96 * n, 1e-3);
    expect(some.learningRate.bins.length).toBeLessThan((curves[1]?.length ?? 0) + 12);
  });

  it('stands in the list as its end says', () => {
    const { step: newest, heldOut, tokensPerSecond, state } = runRow({ name: 'long', folder: new RunFolder(root) });
    expect({ newest, heldOut, tokensPerSecond, state }).toEqual({
      ...{ newest: STEPS, heldOut: STEPS, tokensPerSecond: 5000, state: 'damaged' },
    });
  });
});
