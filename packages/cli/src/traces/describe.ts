/** @file What a set of traces is, in figures and for people. */
import { QuasarError } from '@quasar/base';
import { type AnswerReport, addReport, emptyReport, type TraceKind, type TraceSet } from '@quasar/infer';
import { record } from '../ui/table.ts';

export interface TraceSummary {
  kind: TraceKind;
  files: number;
  traces: number;
  promptTokens: number;
  /** Tokens of continuations: each has a view. */
  tokens: number;
  sizeBytes: number;
  /** Of all files, headers and prompts included. */
  bytesPerToken: number;
  /** The same tokens with whole logits of 16 bits, divided by the size of the files. */
  timesSmallerThanLogits: number;
  meanTail: number;
  report: AnswerReport;
}

/** Reads every trace. @throws QuasarError infer.bad_trace_file */
export async function summaryOf(set: TraceSet): Promise<TraceSummary> {
  let [promptTokens, tokens, tail] = [0, 0, 0];
  for (const { prompt, continuation, top } of set.traces()) {
    promptTokens += prompt.length;
    tokens += continuation.length;
    for (const mass of top.tail) tail += mass;
  }
  if (tokens === 0) {
    throw new QuasarError('infer.no_traces', `${set.directory}: its traces are all empty`, { hint: 'make others' });
  }
  const sizeBytes = set.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const report = emptyReport();
  for (const { header } of set.files) addReport(report, header.report);
  return {
    kind: set.kind,
    files: set.files.length,
    traces: set.length,
    ...{ promptTokens, tokens, sizeBytes },
    bytesPerToken: sizeBytes / tokens,
    timesSmallerThanLogits: (2 * set.kind.vocabSize * tokens) / sizeBytes,
    meanTail: tail / tokens,
    report,
  };
}

export function describeTraces(name: string, summary: TraceSummary): string {
  const { kind, report, tokens } = summary;
  const { teacher } = kind;
  const who =
    teacher.kind === 'local'
      ? `${teacher.family}, weights ${teacher.weightsSha256.slice(0, 12)}`
      : `${teacher.model} on ${teacher.host}, prompts as ${teacher.prompts}, vocabulary compared by ${teacher.vocabulary}`;
  const share = (part: number) => `${((100 * part) / Math.max(1, report.views)).toPrecision(3)} %`;
  return record({
    traces: `${summary.traces} in ${summary.files} files of ${name}`,
    teacher: who,
    tokenizer: `${kind.tokenizerSha256.slice(0, 12)}, ${kind.vocabSize} tokens`,
    tokens: `${tokens} with views, after ${summary.promptTokens} of prompts`,
    views: `top ${kind.k} in ${kind.precision}, mean tail ${summary.meanTail.toPrecision(3)}`,
    size: `${(summary.sizeBytes / 1e6).toFixed(1)} MB, ${summary.bytesPerToken.toFixed(0)} bytes per token, ${summary.timesSmallerThanLogits.toPrecision(3)} times less than whole logits`,
    unknown: `${share(report.viewsWithUnknown)} of views name tokens that we lack, with ${share(report.unknownMass)} of the mass; ${report.cutTraces} traces cut, ${report.movedBorders} borders moved`,
  });
}
