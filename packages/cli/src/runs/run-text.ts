/** @file One run for people and for `--json`. */
import { existsSync } from 'node:fs';
import { durationText } from '@quasar/base';
import type { ComparedRun, KnownRun } from '@quasar/train';
import { lossTable } from '../ui/loss-table.ts';
import { record, table } from '../ui/table.ts';

export async function runReport(run: ComparedRun & KnownRun) {
  const { differingSettings, runRow } = await import('@quasar/train');
  const { summary, flags, record: of, folder, state } = run;
  const { step, started } = summary;
  return {
    ...runRow(run),
    state,
    tokens: step?.tokens ?? 0,
    metrics: step?.metrics ?? {},
    peakShare: step?.peakShare ?? null,
    rssBytes: step?.rssBytes ?? null,
    deviceBytes: step?.deviceBytes ?? null,
    parameters: of.model.parameters,
    elapsedMs: summary.elapsedMs,
    predictedMs: started?.predictedMs ?? null,
    resumedAtStep: started?.resumedAtStep ?? null,
    end: summary.end,
    evaluations: summary.evaluations.items.map(({ step: at, heldOut }) => ({ step: at, heldOut })),
    differing: differingSettings(of.settings, of.defaults),
    events: Object.fromEntries([...summary.marks].map(([type, marks]) => [type, marks.seen])),
    brokenLines: summary.brokenLines,
    record: of,
    flags,
    report: existsSync(folder.reportFile) ? folder.reportFile : null,
  };
}

export function runText(run: Awaited<ReturnType<typeof runReport>>): string {
  const { step, steps, metrics, predictedMs, peakShare, rssBytes, deviceBytes, end } = run;
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const fields: Record<string, string> = {
    run: `${run.name}: ${run.stage}, ${run.state}`,
    folder: run.folder,
    started: run.startedAt ?? '',
    model: `${run.record.model.family}, ${run.parameters.toLocaleString('en-US')} parameters, on ${run.record.data.name}`,
  };
  if (step !== null && steps !== null) {
    const losses = Object.entries(metrics).map(([name, value]) => `${name} ${value.toFixed(4)}`);
    const share = peakShare === null ? '' : `, ${Math.round(100 * peakShare)} % of peak`;
    const tensors = deviceBytes === null ? '' : `, ${mb(deviceBytes)} of it in tensors`;
    fields.steps = `${step} of ${steps}, ${run.tokens.toLocaleString('en-US')} tokens`;
    fields.loss = `${losses.join(', ')} nats per token`;
    fields.speed = `${Math.round(run.tokensPerSecond ?? 0).toLocaleString('en-US')} tokens/s${share}`;
    if (rssBytes !== null) fields.memory = `${mb(rssBytes)}${tensors}`;
  }
  const foreseen = predictedMs !== null && run.resumedAtStep === null ? ` (foreseen ${durationText(predictedMs)})` : '';
  fields.time = `${durationText(run.elapsedMs)}${foreseen}`;
  const events = Object.entries(run.events).map(([type, count]) => `${count} ${type.replace('_', ' ')}`);
  if (events.length > 0) fields.events = events.join(', ');
  if (end?.type === 'failed') fields.failed = `${end.message} [${end.code}]`;
  if (run.brokenLines > 0) fields.broken = `${run.brokenLines} lines of its events cannot be read`;
  fields.report = run.report ?? 'none yet; --report writes it';
  const settings = table(
    [
      { title: 'setting', value: ({ name }) => name },
      { title: 'value', value: ({ value }) => String(value) },
      { title: 'default', value: ({ default: usual }) => (usual === undefined ? '' : String(usual)) },
    ],
    run.differing,
  );
  const evaluations = run.evaluations.length > 0 ? ['', lossTable(run.evaluations)] : [];
  return [record(fields), '', settings, ...evaluations].join('\n');
}
