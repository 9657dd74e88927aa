/** @file Histories in bounded memory: what is joined keeps its mean and its extremes. */
import { describe, expect, it } from 'vitest';
import type { EventOf } from './events.ts';
import { reportPage } from './report/page.ts';
import type { RunRecord } from './run-folder.ts';
import { mainMetric, RunSummary } from './run-summary.ts';
import { Series, smoothed, Thinned } from './series.ts';
import { differingSettings } from './settings.ts';

describe('a series', () => {
  it('joins neighbours; steps, means and extremes stay', () => {
    const series = new Series(16);
    const values = Array.from({ length: 1003 }, (_, i) => Math.sin(i) + i / 100);
    values.forEach((value, i) => {
      series.add(i + 1, 10 * (i + 1), value);
    });
    const { bins } = series;
    expect(bins.length).toBeLessThanOrEqual(16);
    expect(bins.length).toBeGreaterThan(7);
    expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(1003);
    let at = 0;
    for (const { count, step, tokens, value, min, max } of bins) {
      const own = values.slice(at, at + count);
      expect(value).toBeCloseTo(own.reduce((a, b) => a + b) / count, 9);
      expect([min, max]).toEqual([Math.min(...own), Math.max(...own)]);
      expect(step).toBeCloseTo(at + (count + 1) / 2, 9);
      expect(tokens).toBeCloseTo(10 * step, 6);
      at += count;
    }
  });

  it('leaves out what is no number', () => {
    const series = new Series();
    for (const value of [1, Number.NaN, Number.POSITIVE_INFINITY, 3]) series.add(1, 1, value);
    expect(series.bins.map(({ value }) => value)).toEqual([1, 3]);
  });

  it('a smoothed constant is the constant from its first bin on', () => {
    const series = new Series();
    for (let i = 0; i < 50; i++) series.add(i, i, 4);
    for (const value of smoothed(series.bins, 7)) expect(value).toBeCloseTo(4, 12);
  });
});

it('a thinned list keeps its first and its last item, evenly spread', () => {
  const list = new Thinned<number>(10);
  expect(list.items).toEqual([]);
  for (let i = 0; i < 1234; i++) list.add(i);
  const { items } = list;
  expect(items.length).toBeLessThanOrEqual(11);
  expect([items[0], items.at(-1), list.seen]).toEqual([0, 1233, 1234]);
  const gaps = items.slice(1, -1).map((item, i) => item - (items[i] as number));
  expect(new Set(gaps).size).toBe(1);
});

it('the metric that stands for a run', () => {
  expect(mainMetric({ loss: 1, ce: 2, kl: 3 })).toBe('kl');
  expect(mainMetric({ loss: 1, ce: 2 })).toBe('ce');
  expect(mainMetric({ loss: 1, reverse_kl: 2 })).toBe('reverse_kl');
  expect(mainMetric({ hidden: 1 })).toBe('hidden');
  expect(mainMetric({})).toBe(null);
});

it('settings that differ, members of members too', () => {
  const defaults = { B: 8, optimizer: { beta: [0.9, 0.95], decay: 0.1 }, matrices: undefined };
  const settings = { B: 8, optimizer: { beta: [0.9, 0.99], decay: 0.1 }, matrices: 'muon' };
  expect(differingSettings(settings, defaults)).toEqual([
    { name: 'optimizer.beta', value: '[0.9,0.99]', default: '[0.9,0.95]' },
    { name: 'matrices', value: 'muon' },
  ]);
});

it('a million steps are one small report', () => {
  const at = new Date().toISOString();
  const summary = new RunSummary();
  const router = { load: [], bias: [] } as { load: number[][]; bias: number[][] };
  for (let layer = 0; layer < 24; layer++) {
    router.load.push(Array.from({ length: 64 }, (_, i) => ((i * 7 + layer) % 13) / 400));
    router.bias.push(Array.from({ length: 64 }, (_, i) => Math.sin(i + layer) / 10));
  }
  for (let step = 1; step <= 1e6; step++) {
    const event: EventOf<'step'> = {
      type: 'step',
      at,
      step,
      steps: 1e6,
      tokens: 2048 * step,
      metrics: { loss: 7 / Math.sqrt(step) + (step % 17) / 100, ce: 6 / Math.sqrt(step) },
      learningRate: 1e-3,
      gradientNorm: 1 + (step % 5),
      tokensPerSecond: 5000 + (step % 100),
      peakShare: 0.4,
      etaMs: 1,
      rssBytes: 5e8,
      deviceBytes: 4e8,
      router: step % 10_000 === 0 ? router : undefined,
    };
    summary.add(event);
    if (step % 1000 === 0)
      summary.add({ type: 'evaluation', at, step, heldOut: { world: { ce: 3 }, text: { ce: 4 } } });
    if (step % 500 === 0) summary.add({ type: 'saved', at, step, bytes: 1e8, ms: 10 });
    if (step % 900 === 0) summary.add({ type: 'skipped_step', at, step, why: 'a gradient that is not finite' });
  }
  const record: RunRecord = {
    version: 1,
    stage: 'pretrain',
    name: 'long <run>',
    startedAt: at,
    quasar: '0',
    host: { device: 'native', threads: 2, isa: 'avx2', cores: 2, processor: 'x', platform: 'linux', node: '20' },
    settings: { steps: 1e6 },
    defaults: {},
    data: { name: 'world' },
    model: { family: 'quasar', parameters: 1 },
  };
  const startedAtMs = performance.now();
  const page = reportPage(record, summary);
  expect(performance.now() - startedAtMs).toBeLessThan(2000);
  expect(page.length).toBeLessThan(500_000);
  expect(page).toContain('<h1>long &lt;run&gt;<span');
  expect(page).not.toMatch(/NaN|undefined|Infinity/);
});
