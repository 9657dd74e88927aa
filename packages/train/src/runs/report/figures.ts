/** @file The plots of one run. */
import { type Mark, mainMetric, type RunSummary } from '../run-summary.ts';
import { type Bin, type Series, smoothed } from '../series.ts';
import { bytesText, figure, percent, shortNumber } from './format.ts';
import { heatMap } from './heat-map.ts';
import { linePlot, type PlotLine, type PlotMark } from './line-plot.ts';

/** Cells of all heat maps of one kind: what keeps a report small. */
const MAX_CELLS = 6000;
/** Fewer columns of time than this say less than the last state alone. */
const MIN_COLUMNS = 6;
/** Share of a run that a smoothed line averages over. */
const SMOOTHED_SHARE = 1 / 25;

export const pointsOf = (bins: readonly Bin[]) => bins.map(({ step, value }) => [step, value] as const);

/** Every value faint, their moving average on top. */
export function smoothedLines(name: string, series: Series, color: number): PlotLine[] {
  const { bins } = series;
  const average = smoothed(bins, bins.length * SMOOTHED_SHARE);
  return [
    { name, color, look: 'faint', points: pointsOf(bins) },
    { name, color, points: bins.map(({ step }, i) => [step, average[i] as number] as const) },
  ];
}

export function trainingFigures(summary: RunSummary): string[] {
  const marks = plotMarks(summary);
  const main = mainMetric(Object.fromEntries([...summary.metrics.keys()].map((name) => [name, 0])));
  const metrics = [...summary.metrics].sort(([a], [b]) => Number(b === main) - Number(a === main));
  const losses = metrics.map(([metric, series]) => {
    const heldOut = [...summary.heldOut]
      .filter(([name]) => name.endsWith(` ${metric}`))
      .map(([name, { bins }], i): PlotLine => {
        return {
          name: `held-out ${name.slice(0, -metric.length - 1)}`,
          color: i + 1,
          look: 'dots',
          points: pointsOf(bins),
        };
      });
    const lines = [...smoothedLines('training', series, 0), ...heldOut];
    const title = metric === 'loss' ? 'Loss: all that is minimised' : `Loss: ${metric}`;
    return linePlot({ title, unit: 'nats per token', lines, marks });
  });
  const hasShare = summary.peakShare.bins.length > 0;
  return [
    ...losses,
    linePlot({
      title: 'Learning rate',
      unit: 'peak of the matrices',
      lines: oneLine(summary.learningRate, 0),
      from: 0,
      marks,
    }),
    linePlot({
      title: 'Gradient norm',
      unit: 'before clipping',
      lines: smoothedLines('gradient norm', summary.gradientNorm, 0),
      isLog: true,
      marks,
    }),
    linePlot({
      title: 'Throughput',
      unit: 'tokens per second, of the last minute',
      lines: oneLine(summary.tokensPerSecond, 0),
      from: 0,
      format: shortNumber,
      marks,
    }),
    hasShare
      ? linePlot({
          title: 'Share of peak',
          unit: 'of the machine',
          lines: oneLine(summary.peakShare, 2),
          from: 0,
          format: percent,
          marks,
        })
      : '',
    linePlot({
      title: 'Memory',
      unit: 'bytes',
      lines: [
        { name: 'process', color: 0, points: pointsOf(summary.rssBytes.bins) },
        { name: 'tensors', color: 1, points: pointsOf(summary.deviceBytes.bins) },
      ],
      from: 0,
      format: bytesText,
      marks,
    }),
  ].filter((html) => html !== '');
}

/** Load and bias of every expert over the run, or at its end where there are too many for that. */
export function routerFigures(summary: RunSummary): string[] {
  const samples = summary.router.items;
  const last = samples.at(-1);
  if (!last) return [];
  const experts = last.load.reduce((sum, layer) => sum + layer.length, 0);
  const isOverTime = samples.length >= MIN_COLUMNS && experts * MIN_COLUMNS <= MAX_CELLS;
  const every = Math.ceil(samples.length / Math.max(1, Math.floor(MAX_CELLS / experts)));
  const shown = samples.filter((_, i) => (samples.length - 1 - i) % every === 0);
  const draw = (
    kind: 'load' | 'bias',
    title: string,
    unit: string,
    legend: [string, string, string],
    cell: (x: number, experts: number) => number,
  ) => {
    const groups = last[kind].map((layer, l) => {
      const values = (sample: (typeof samples)[number]) => (sample[kind][l] ?? []).map((x) => cell(x, layer.length));
      const rows = isOverTime
        ? layer.map((_, expert) => shown.map((sample) => values(sample)[expert] ?? 0))
        : [values(last)];
      return { name: `layer ${l + 1}`, rows };
    });
    const ends = isOverTime
      ? { first: `step ${shown[0]?.step}`, last: `step ${last.step}`, title: 'one row per expert' }
      : { first: 'expert 1', last: `expert ${last.load[0]?.length}`, title: `at step ${last.step}` };
    return heatMap({ title, unit, groups, columns: ends, legend });
  };
  const widest = Math.max(1e-9, ...shown.flatMap(({ bias }) => bias.flat().map(Math.abs)));
  return [
    draw(
      'load',
      'Router load',
      'tokens per expert, beside an even share',
      ['1/4 or less', 'even', '4 times or more'],
      (share, count) => (share > 0 ? Math.log2(share * count) / 2 : -1),
    ),
    draw(
      'bias',
      'Selection bias',
      'per expert (SMEBU)',
      [figure(-widest), '0', figure(widest)],
      (bias) => bias / widest,
    ),
  ].filter((html) => html !== '');
}

function oneLine(series: Series, color: number): PlotLine[] {
  return [{ name: '', color, points: pointsOf(series.bins) }];
}

const KINDS: Record<Mark['type'], PlotMark['kind']> = {
  saved: 'saved',
  interrupted: 'warning',
  skipped_step: 'warning',
  save_failed: 'bad',
  rolled_back: 'bad',
};

function plotMarks(summary: RunSummary): PlotMark[] {
  return [...summary.marks.values()].flatMap((marks) =>
    marks.items.map((mark) => ({ x: mark.step, kind: KINDS[mark.type], title: describeMark(mark) })),
  );
}

export function describeMark(mark: Mark): string {
  const at = `step ${mark.step}`;
  switch (mark.type) {
    case 'saved':
      return `${at}: saved, ${bytesText(mark.bytes)}`;
    case 'save_failed':
      return `${at}: not saved, ${mark.message}`;
    case 'skipped_step':
      return `${at}: skipped, ${mark.why}`;
    case 'rolled_back':
      return `${at}: back to step ${mark.toStep}, ${mark.why}`;
    case 'interrupted':
      return `${at}: interrupted`;
  }
}
