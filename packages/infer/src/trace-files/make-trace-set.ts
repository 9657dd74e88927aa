/**
 * @file Making a set of traces, file by file. Each file is written at once and named by its content, and is a pure function
 * of the job and its place in it: a run that was killed goes on after the last whole file and ends with the same files.
 */
import { join } from 'node:path';
import { canonicalJson, QuasarError, Rng, sha256Hex, writeFileAtomic } from '@quasar/base';
import { addReport, emptyReport, type Teacher, type TeacherAnswer, type TeacherPrompt } from '../teacher/teacher.ts';
import { tokenizerDigest } from '../teacher/vocabulary.ts';
import { wholeText } from '../text-rows.ts';
import type { Trace } from '../types.ts';
import { MAX_TRACE_K, parseTraceHeader, TRACE_FORMAT, type TraceJob } from './header.ts';
import { encodeTraceFile, TRACE_FILE_ENDING } from './trace-file.ts';
import { kindOf, requireSameKind, traceFiles, writing } from './trace-set.ts';

/** A prompt; for scoring also the text that follows it. */
export interface TracePrompt extends TeacherPrompt {
  /** For `score`: the tokens after the prompt, which the teacher is to judge. */
  continuation?: Int32Array | undefined;
}

export interface TracePrompts {
  /** Says which prompts these are: sources with equal descriptions give equal prompts. */
  description: TraceJob['prompts'];
  /** The prompt of a number from 0 on. */
  prompt(index: number): TracePrompt;
}

export interface MakeTraceSetOptions {
  directory: string;
  teacher: Teacher;
  prompts: TracePrompts;
  /** Traces in all, those of earlier runs of the same job included. */
  count: number;
  mode: TraceJob['mode'];
  topK: number;
  precision: TraceJob['precision'];
  maxNewTokens: number;
  temperature: number;
  topP: number;
  seed: string;
  untilEnd: boolean;
  /** Traces of a file. Default 64. */
  fileTraces?: number | undefined;
  /** Prompts that are in work at a time. Default 32. */
  batch?: number | undefined;
  /** After each batch. */
  onProgress?: ((progress: TraceProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface TraceProgress {
  done: number;
  count: number;
  /** Of this run. */
  tokens: number;
  tokensPerSecond: number;
}

const DEFAULT_FILE_TRACES = 64;
const DEFAULT_BATCH = 32;

/**
 * @returns traces that were there already, and those made
 * @throws QuasarError infer.traces_differ when the folder holds traces of another kind, infer.bad_top_k, infer.cancelled,
 * infer.traces_unwritable; as the teacher
 */
export async function makeTraceSet(options: MakeTraceSetOptions): Promise<{ found: number; made: number }> {
  const { directory, count, fileTraces = DEFAULT_FILE_TRACES, batch = DEFAULT_BATCH, signal } = options;
  const job = jobOf(options);
  const found = tracesDone(directory, job);
  const startedAtMs = performance.now();
  let tokens = 0;
  for (let first = found; first < count; ) {
    const size = Math.min(fileTraces, count - first);
    const traces: Trace[] = [];
    const report = emptyReport();
    while (traces.length < size) {
      if (signal?.aborted) {
        throw new QuasarError('infer.cancelled', `stopped at ${first} of ${count} traces`, {
          hint: 'run the same command again to go on',
          retry: 'later',
        });
      }
      const from = first + traces.length;
      const indices = Array.from({ length: Math.min(batch, size - traces.length) }, (_, i) => from + i);
      const answer = await ask(options, job, indices);
      traces.push(...answer.traces);
      addReport(report, answer.report);
      tokens += answer.traces.reduce((sum, { continuation }) => sum + continuation.length, 0);
      options.onProgress?.({
        done: first + traces.length,
        count,
        tokens,
        tokensPerSecond: (1000 * tokens) / (performance.now() - startedAtMs),
      });
    }
    const bytes = encodeTraceFile({ format: TRACE_FORMAT, job, first, report }, traces);
    const path = join(directory, sha256Hex(bytes) + TRACE_FILE_ENDING);
    writing(directory, () => writeFileAtomic(path, bytes));
    first += size;
  }
  return { found, made: Math.max(0, count - found) };
}

function jobOf({ teacher, prompts, topK, precision, mode, ...rest }: MakeTraceSetOptions): TraceJob {
  if (!(topK >= 1 && topK <= MAX_TRACE_K)) {
    throw new QuasarError('infer.bad_top_k', `traces: topK is ${topK}, expected 1 to ${MAX_TRACE_K}`);
  }
  const { maxNewTokens, temperature, topP, seed, untilEnd } = rest;
  const { vocabSize } = teacher.tokenizer;
  const job: TraceJob = {
    teacher: teacher.identity,
    tokenizerSha256: tokenizerDigest(teacher.tokenizer),
    ...{ vocabSize, precision, mode, seed, untilEnd, maxNewTokens, temperature, topP },
    k: Math.min(topK, vocabSize),
    prompts: prompts.description,
  };
  // What a reader would refuse is not written.
  return parseTraceHeader(canonicalJson({ format: TRACE_FORMAT, job, first: 0, report: emptyReport() }), 'traces').job;
}

/** How many traces of the job, from its first on, the folder has. */
function tracesDone(directory: string, job: TraceJob): number {
  const text = canonicalJson(job);
  const lengths = new Map<number, number>();
  for (const file of traceFiles(directory)) {
    requireSameKind(kindOf(file.header.job), kindOf(job), 'the new traces');
    if (canonicalJson(file.header.job) === text) lengths.set(file.header.first, file.length);
  }
  let done = 0;
  for (let next = lengths.get(done); next; next = lengths.get(done)) done += next;
  return done;
}

async function ask(options: MakeTraceSetOptions, job: TraceJob, indices: readonly number[]): Promise<TeacherAnswer> {
  const { teacher, signal } = options;
  const prompts = indices.map((index) => options.prompts.prompt(index));
  if (job.mode === 'generate') {
    const { maxNewTokens, temperature, topP, untilEnd } = job;
    const seeds = indices.map((index) => new Rng(`${job.seed}/trace/${index}`).int(0, 2 ** 31 - 1));
    return teacher.generate(prompts, { maxNewTokens, topK: job.k, temperature, topP, seeds, untilEnd, signal });
  }
  const texts = prompts.map(({ ids, continuation = new Int32Array(0) }) => ({
    tokens: wholeText(ids, continuation.subarray(0, job.maxNewTokens)),
    from: ids.length,
  }));
  return teacher.score(texts, { topK: job.k, signal });
}
