/** @file Runs beside each other: where their settings differ, their losses at equal steps and at equal tokens, how they end. */
import type { FlagValues, RunRecord } from './run-folder.ts';
import { mainMetric, type RunState, type RunSummary } from './run-summary.ts';
import { type Bin, smoothed } from './series.ts';
import { type SettingValue, settingRows } from './settings.ts';

const POINTS = 8;
/** Training losses are compared as averages over this share of a run. */
const SMOOTHED_SHARE = 1 / 25;
/** What differs between any two runs and says nothing. */
const OWN = new Set(['out']);

export interface ComparedRun {
  name: string;
  state: RunState;
  record: RunRecord;
  flags: FlagValues;
  summary: RunSummary;
}

export interface Comparison {
  runs: string[];
  /** The metric that is compared; null: the runs share none. */
  metric: string | null;
  /** Settings, flags, data and models that are not the same everywhere, one value per run. */
  settings: { name: string; values: (SettingValue | undefined)[] }[];
  /** Training losses, smoothed. */
  atSteps: { step: number; losses: number[] }[];
  atTokens: { tokens: number; losses: number[] }[];
  final: {
    state: RunState;
    step: number;
    tokens: number;
    loss: number | null;
    /** Held-out losses of the metric, per set: at the end and at best. */
    heldOut: Record<string, { last: number; best: number }>;
    tokensPerSecond: number | null;
    elapsedMs: number;
  }[];
}

export function compareRuns(runs: readonly ComparedRun[]): Comparison {
  const metric = sharedMetric(runs);
  const curves = runs.map(({ summary }) =>
    smoothedCurve(metric === null ? undefined : summary.metrics.get(metric)?.bins),
  );
  return {
    runs: runs.map(({ name }) => name),
    metric,
    settings: settingsThatDiffer(runs),
    atSteps: atEqual(curves, 'step').map(({ at, losses }) => ({ step: at, losses })),
    atTokens: atEqual(curves, 'tokens').map(({ at, losses }) => ({ tokens: at, losses })),
    final: runs.map(({ state, summary }, i) => ({
      state,
      step: summary.step?.step ?? 0,
      tokens: summary.step?.tokens ?? 0,
      loss: curves[i]?.at(-1)?.value ?? null,
      heldOut: heldOutOf(summary, metric),
      tokensPerSecond: summary.step?.tokensPerSecond ?? null,
      elapsedMs: summary.elapsedMs,
    })),
  };
}

/** The main metric of the first run that all have. */
function sharedMetric(runs: readonly ComparedRun[]): string | null {
  const [first] = runs;
  const shared = [...(first?.summary.metrics.keys() ?? [])].filter((name) =>
    runs.every(({ summary }) => summary.metrics.has(name)),
  );
  return mainMetric(Object.fromEntries(shared.map((name) => [name, 0])));
}

function settingsThatDiffer(runs: readonly ComparedRun[]): Comparison['settings'] {
  const tables = runs.map(({ record, flags }) => {
    const { stage, settings, data, model, quasar } = record;
    const own = Object.fromEntries(Object.entries(flags).filter(([name]) => !OWN.has(name) && !(name in settings)));
    const rows = settingRows({ stage, quasar, ...own, ...settings, dataset: data, model });
    return new Map(rows.map(({ name, value }) => [name, value]));
  });
  const names = [...new Set(tables.flatMap((table) => [...table.keys()]))];
  return names
    .map((name) => ({ name, values: tables.map((table) => table.get(name)) }))
    .filter(({ values }) => values.some((value) => value !== values[0]));
}

interface CurvePoint {
  step: number;
  tokens: number;
  value: number;
}

function smoothedCurve(bins: readonly Bin[] = []): CurvePoint[] {
  const values = smoothed(bins, bins.length * SMOOTHED_SHARE);
  return bins.map(({ step, tokens }, i) => ({ step, tokens, value: values[i] as number }));
}

/** At round places up to where the shortest curve ends. */
function atEqual(curves: readonly CurvePoint[][], axis: 'step' | 'tokens'): { at: number; losses: number[] }[] {
  const starts = curves.map((curve) => curve[0]?.[axis] ?? Number.POSITIVE_INFINITY);
  const end = Math.min(...curves.map((curve) => curve.at(-1)?.[axis] ?? 0));
  const from = Math.max(...starts);
  if (!(end > from)) return [];
  return Array.from({ length: POINTS }, (_, i) => {
    const at = i === POINTS - 1 ? end : Math.max(from, Math.round((end * (i + 1)) / POINTS));
    return { at, losses: curves.map((curve) => valueAt(curve, axis, at)) };
  });
}

function valueAt(curve: readonly CurvePoint[], axis: 'step' | 'tokens', at: number): number {
  const next = curve.findIndex((point) => point[axis] >= at);
  const b = curve[next] ?? (curve.at(-1) as CurvePoint);
  const a = curve[next - 1];
  if (!a || b[axis] === a[axis]) return b.value;
  return a.value + ((b.value - a.value) * (at - a[axis])) / (b[axis] - a[axis]);
}

function heldOutOf(summary: RunSummary, metric: string | null): Record<string, { last: number; best: number }> {
  const found: Record<string, { last: number; best: number }> = {};
  for (const [name, { bins }] of summary.heldOut) {
    const last = bins.at(-1);
    if (metric === null || !last || !name.endsWith(` ${metric}`)) continue;
    found[name.slice(0, -metric.length - 1)] = { last: last.value, best: Math.min(...bins.map(({ min }) => min)) };
  }
  return found;
}
