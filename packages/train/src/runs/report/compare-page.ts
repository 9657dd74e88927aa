/** @file Runs beside each other as one page. */
import { durationText } from '@quasar/base';
import { type ComparedRun, type Comparison, compareRuns } from '../compare.ts';
import { settingText } from '../settings.ts';
import { pointsOf, smoothedLines } from './figures.ts';
import { figure, shortNumber } from './format.ts';
import { escapeHtml, htmlTable } from './html.ts';
import { linePlot, type PlotLine } from './line-plot.ts';
import { page, section } from './page.ts';

export function comparePage(runs: readonly ComparedRun[], comparison: Comparison = compareRuns(runs)): string {
  const { metric } = comparison;
  const names = runs.map(({ name }) => name);
  const title = names.join(', ');
  return page(title, [
    `<h1>${escapeHtml(title)}</h1>`,
    section('At the end', [finalTable(comparison)]),
    section('Training', [`<div class="plots">${figures(runs, metric).join('')}</div>`]),
    section(`Smoothed training loss${metric === null ? '' : `: ${metric}`}`, [
      lossTable(
        'At equal steps',
        'step',
        names,
        comparison.atSteps.map(({ step, losses }) => [step, losses]),
      ),
      lossTable(
        'At equal tokens',
        'tokens',
        names,
        comparison.atTokens.map(({ tokens, losses }) => [tokens, losses]),
      ),
    ]),
    section('Settings that differ', [
      comparison.settings.length === 0
        ? '<p>None.</p>'
        : htmlTable({
            caption: 'Settings, flags, data and models',
            titles: ['setting', ...names],
            rows: comparison.settings.map(({ name, values }) => [name, ...values.map(settingText)]),
          }),
    ]),
  ]);
}

function figures(runs: readonly ComparedRun[], metric: string | null): string[] {
  const lines = (of: (run: ComparedRun, color: number) => PlotLine[]) => runs.flatMap(of);
  const unit = 'nats per token';
  const plots: string[] = [];
  if (metric !== null) {
    const training = lines(({ name, summary }, i) => {
      const series = summary.metrics.get(metric);
      return series ? smoothedLines(name, series, i) : [];
    });
    plots.push(linePlot({ title: `Loss: ${metric}`, unit, lines: training }));
    const byTokens = lines(({ name, summary }, i) =>
      (summary.metrics.get(metric) ? smoothedLines(name, summary.metrics.get(metric) as never, i) : [])
        .filter(({ look }) => look !== 'faint')
        .map((line) => ({
          ...line,
          points: line.points.map(([, y], p) => [summary.metrics.get(metric)?.bins[p]?.tokens ?? 0, y] as const),
        })),
    );
    plots.push(linePlot({ title: `Loss by tokens: ${metric}`, unit, lines: byTokens, xTitle: 'tokens' }));
    const sets = new Set(runs.flatMap(({ summary }) => [...summary.heldOut.keys()]));
    for (const set of [...sets].filter((name) => name.endsWith(` ${metric}`)))
      plots.push(
        linePlot({
          title: `Held-out ${set}`,
          unit,
          lines: runs.map(({ name, summary }, color) => ({
            name,
            color,
            look: 'dots',
            points: pointsOf(summary.heldOut.get(set)?.bins ?? []),
          })),
        }),
      );
  }
  const each = (of: (run: ComparedRun) => PlotLine['points']) =>
    runs.map((run, color) => ({ name: run.name, color, points: of(run) }));
  plots.push(
    linePlot({
      title: 'Gradient norm',
      unit: 'before clipping',
      isLog: true,
      lines: each(({ summary }) => pointsOf(summary.gradientNorm.bins)),
    }),
    linePlot({
      title: 'Throughput',
      unit: 'tokens per second',
      from: 0,
      format: shortNumber,
      lines: each(({ summary }) => pointsOf(summary.tokensPerSecond.bins)),
    }),
  );
  return plots;
}

function finalTable({ runs, final, metric }: Comparison): string {
  const sets = [...new Set(final.flatMap(({ heldOut }) => Object.keys(heldOut)))];
  const held =
    (set: string, which: 'last' | 'best') =>
    ({ heldOut }: Comparison['final'][number]) =>
      heldOut[set] ? figure(heldOut[set][which]) : '';
  const rows: [string, (run: Comparison['final'][number]) => string][] = [
    ['state', ({ state }) => state],
    ['steps', ({ step }) => step.toLocaleString('en-US')],
    ['tokens', ({ tokens }) => shortNumber(tokens)],
    [`training loss (${metric})`, ({ loss }) => (loss === null ? '' : figure(loss))],
    ...sets.flatMap((set): typeof rows => [
      [`held-out ${set}`, held(set, 'last')],
      [`best held-out ${set}`, held(set, 'best')],
    ]),
    ['tokens per second', ({ tokensPerSecond }) => (tokensPerSecond === null ? '' : shortNumber(tokensPerSecond))],
    ['time', ({ elapsedMs }) => durationText(elapsedMs)],
  ];
  return htmlTable({
    caption: 'Losses in nats per token',
    titles: ['', ...runs],
    rows: rows.map(([name, value]) => [name, ...final.map(value)]),
  });
}

function lossTable(
  caption: string,
  first: string,
  names: readonly string[],
  rows: readonly (readonly [number, readonly number[]])[],
): string {
  if (rows.length === 0) return '';
  return htmlTable({
    caption,
    titles: [first, ...names],
    rows: rows.map(([at, losses]) => [
      Math.round(at).toLocaleString('en-US'),
      ...losses.map((loss) => loss.toFixed(4)),
    ]),
  });
}
