/**
 * @file `report.html` of a run: one file that needs nothing else, on paper-white or dark, on a desk or a phone. Made from a
 * summary, so its size does not grow with the run.
 */
import { durationText } from '@quasar/base';
import type { RunRecord } from '../run-folder.ts';
import { mainMetric, type RunState, type RunSummary } from '../run-summary.ts';
import { differingSettings, settingRows, settingText } from '../settings.ts';
import { describeMark, routerFigures, trainingFigures } from './figures.ts';
import { bytesText, figure, percent, shortNumber } from './format.ts';
import { escapeHtml, htmlTable } from './html.ts';
import { SCRIPT, STYLE } from './style.ts';

const MAX_EVALUATION_ROWS = 24;
const MAX_EVENT_ROWS = 40;

/** @param state default: as the events tell; without an end the run goes on */
export function reportPage(record: RunRecord, summary: RunSummary, state: RunState = stateOf(summary)): string {
  const { started } = summary;
  const model = started
    ? `${record.model.family}, ${shortNumber(started.parameters)} parameters (${shortNumber(started.activeParameters)} per token)`
    : record.model.family;
  const begun = (summary.firstStartedAt ?? record.startedAt).slice(0, 16).replace('T', ' ');
  const router = routerFigures(summary);
  return page(`${record.name}: ${record.stage}`, [
    `<h1>${escapeHtml(record.name)}<span class="state ${state}">${state}</span></h1>`,
    `<p class="dim">${escapeHtml(`${record.stage} of ${model} on ${record.data.name}; begun ${begun} UTC, as of ${lastWord(summary)}`)}</p>`,
    tiles(summary),
    section('Training', [`<div class="plots">${trainingFigures(summary).join('')}</div>`]),
    section('Experts', [router.length > 0 ? `<div class="plots">${router.join('')}</div>` : '', routerTable(summary)]),
    section('Evaluations', [evaluationTable(summary)]),
    section('What happened', [eventTable(summary)]),
    section('Settings', [settingsTable(record)]),
    section('Made again', [reproduction(record)]),
  ]);
}

/** A whole page around its parts. */
export function page(title: string, parts: readonly string[]): string {
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    `<title>${escapeHtml(title)}</title><link rel="icon" href="data:,"><style>${STYLE}</style></head><body>`,
    ...parts,
    `<script>${SCRIPT}</script></body></html>`,
    '',
  ].join('\n');
}

export function section(title: string, parts: readonly string[]): string {
  const content = parts.filter((part) => part !== '').join('\n');
  return content === '' ? '' : `<section><h2>${escapeHtml(title)}</h2>${content}</section>`;
}

function stateOf({ end }: RunSummary): RunState {
  return end === null ? 'running' : end.type === 'finished' ? 'done' : end.type;
}

function lastWord(summary: RunSummary): string {
  const at = summary.end?.at ?? summary.step?.at ?? summary.started?.at;
  return at ? `${at.slice(0, 16).replace('T', ' ')} UTC` : 'its start';
}

function tiles(summary: RunSummary): string {
  const { step, started } = summary;
  const list: [name: string, value: string, note?: string | undefined][] = [];
  if (step) {
    const metric = mainMetric(step.metrics);
    list.push([
      'step',
      `${step.step.toLocaleString('en-US')} of ${step.steps.toLocaleString('en-US')}`,
      percent(step.step / step.steps),
    ]);
    list.push(['tokens', shortNumber(step.tokens)]);
    if (metric) list.push([`loss (${metric})`, figure(step.metrics[metric] as number), 'nats per token']);
    for (const [name, { bins }] of summary.heldOut) {
      const last = bins.at(-1);
      if (last && metric && name.endsWith(` ${metric}`))
        list.push([`held-out ${name}`, figure(last.value), `at the start ${figure(bins[0]?.value ?? Number.NaN)}`]);
    }
    const share = step.peakShare === null ? undefined : `${percent(step.peakShare)} of peak`;
    list.push(['tokens per second', shortNumber(step.tokensPerSecond), share]);
    list.push([
      'memory',
      bytesText(step.rssBytes),
      step.deviceBytes === undefined ? undefined : `${bytesText(step.deviceBytes)} in tensors`,
    ]);
  }
  const foreseen = started?.predictedMs ? `foreseen ${durationText(started.predictedMs)}` : undefined;
  list.push([
    'time',
    durationText(summary.elapsedMs),
    started?.resumedAtStep ? `resumed at step ${started.resumedAtStep}` : foreseen,
  ]);
  const cells = list.map(([name, value, note]) => {
    const small = note === undefined ? '' : `<small>${escapeHtml(note)}</small>`;
    return `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}${small}</dd></div>`;
  });
  return `<dl>${cells.join('')}</dl>`;
}

function evaluationTable(summary: RunSummary): string {
  const columns: string[] = [...summary.heldOut.keys()];
  const { items } = summary.evaluations;
  if (items.length === 0) return '';
  const every = Math.ceil(items.length / MAX_EVALUATION_ROWS);
  const rows = items.filter((_, i) => (items.length - 1 - i) % every === 0);
  const cells = rows.map(({ step, heldOut }) => {
    const values = Object.entries(heldOut).flatMap(([set, metrics]) =>
      Object.entries(metrics).map(([metric, value]) => [`${set} ${metric}`, value] as const),
    );
    const byColumn = new Map<string, number>(values);
    return [step.toLocaleString('en-US'), ...columns.map((name) => byColumn.get(name)?.toFixed(4) ?? '')];
  });
  const caption = `Held-out losses, nats per token${rows.length < summary.evaluations.seen ? ` (${rows.length} of ${summary.evaluations.seen})` : ''}`;
  return htmlTable({ caption, titles: ['step', ...columns], rows: cells });
}

function routerTable(summary: RunSummary): string {
  const last = summary.router.last;
  if (!last) return '';
  const rows = last.load.map((shares, layer) => {
    const even = (x: number) => `${figure(x * shares.length)}`;
    const bias = last.bias[layer]?.map(Math.abs);
    const unused = shares.filter((share) => share === 0).length;
    return [
      `${layer + 1}`,
      even(Math.max(...shares)),
      even(Math.min(...shares)),
      `${unused} of ${shares.length}`,
      bias ? figure(Math.max(...bias)) : '',
    ];
  });
  return htmlTable({
    caption: `Experts at step ${last.step}: load as multiples of an even share`,
    titles: ['layer', 'most', 'least', 'without a token', 'largest bias'],
    rows,
  });
}

function eventTable(summary: RunSummary): string {
  const marks = [...summary.marks].filter(([type]) => type !== 'saved').flatMap(([, { items }]) => items);
  const rows = marks
    .sort((a, b) => a.at.localeCompare(b.at))
    .slice(-MAX_EVENT_ROWS)
    .map((mark) => [timeOf(mark.at), describeMark(mark)]);
  if (summary.end?.type === 'failed')
    rows.push([timeOf(summary.end.at), `failed: ${summary.end.message} [${summary.end.code}]`]);
  for (const [code, count] of summary.skippedData) rows.push(['data', `${count} skipped [${code}]`]);
  if (summary.lostEvents > 0) rows.push(['events', `${summary.lostEvents} could not be written`]);
  if (summary.brokenLines > 0) rows.push(['events', `${summary.brokenLines} lines cannot be read`]);
  return rows.length > 0 ? htmlTable({ caption: 'Beside training and saving', titles: ['when', 'what'], rows }) : '';
}

const timeOf = (at: string) => at.slice(0, 19).replace('T', ' ');

function settingsTable(record: RunRecord): string {
  const changed = new Set(differingSettings(record.settings, record.defaults).map(({ name }) => name));
  const entries = settingRows(record.settings);
  return htmlTable({
    caption: 'Settings of the trainer; those that differ from the defaults stand out',
    titles: ['setting', 'value'],
    rows: entries.map(({ name, value }) => [name, settingText(value)]),
    strong: new Set(entries.flatMap(({ name }, i) => (changed.has(name) ? [i] : []))),
  });
}

function reproduction({ stage, host, quasar, data, model, startedAt }: RunRecord): string {
  const digests = [
    data.fingerprint ? `data ${data.name} ${data.fingerprint}` : `data ${data.name}`,
    `model ${model.family} ${model.digest ?? ''}`.trim(),
  ];
  return [
    '<p>Beside this page lies <code>run.json</code>, which holds every flag. The same code, data and flags give the same bits, on any number of threads:</p>',
    `<pre>quasar ${escapeHtml(stage)} --config run.json --out another-folder</pre>`,
    `<p class="dim">${escapeHtml(`quasar ${quasar}; ${digests.join('; ')}`)}</p>`,
    `<p class="dim">${escapeHtml(`${host.processor}, ${host.cores} cores, ${host.threads} threads, device ${host.device} (${host.isa}), ${host.platform}, node ${host.node}; ${startedAt}`)}</p>`,
  ].join('');
}
