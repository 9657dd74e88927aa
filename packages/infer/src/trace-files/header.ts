/** @file What a trace file says about its traces: JSON that anybody can read, and that nobody has to believe. */
import { type Issue, QuasarError } from '@quasar/base';
import type { AnswerReport, TeacherIdentity } from '../teacher/teacher.ts';

/** What all files of a set share: their traces may stand in one batch. */
export interface TraceKind {
  teacher: TeacherIdentity;
  /** Of the tokenizer whose ids these are. */
  tokenizerSha256: string;
  /** Number of its ids. */
  vocabSize: number;
  /** Entries of each view. */
  k: number;
  /** Of log-probabilities and tail mass. */
  precision: 'f16' | 'f32';
}

/** What else makes a trace what it is: traces of equal jobs and equal numbers are equal. */
export interface TraceJob extends TraceKind {
  /** Whether the teacher went on from the prompts by itself, or read texts that were given. */
  mode: 'generate' | 'score';
  maxNewTokens: number;
  temperature: number;
  topP: number;
  seed: string;
  untilEnd: boolean;
  /** Where prompts come from: their source with what changes it. */
  prompts: { [name: string]: string | number | boolean };
}

export interface TraceHeader {
  format: typeof TRACE_FORMAT;
  job: TraceJob;
  /** Number, within its job, of the first trace of the file. */
  first: number;
  report: AnswerReport;
}

export const TRACE_FORMAT = 1;
export const MAX_TRACE_HEADER_BYTES = 64 * 1024;
/** Kernels take no more. */
export const MAX_TRACE_K = 1024;
const MAX_VOCABULARY = 2 ** 24;

/** @throws QuasarError infer.bad_trace_file with all findings in `data` */
export function parseTraceHeader(json: string, where: string): TraceHeader {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw badTraceFile(where, 'its header is no JSON');
  }
  const issues: Issue[] = [];
  const check = new Checker(issues);
  const header = check.object(value, 'header');
  if (header.format !== TRACE_FORMAT)
    throw badTraceFile(where, `format ${String(header.format).slice(0, 20)}, expected ${TRACE_FORMAT}`);
  const job = check.object(header.job, 'job');
  const teacher = check.object(job.teacher, 'job.teacher');
  const report = check.object(header.report, 'report');
  const result: TraceHeader = {
    format: TRACE_FORMAT,
    job: {
      teacher: check.teacher(teacher),
      tokenizerSha256: check.digest(job.tokenizerSha256, 'job.tokenizerSha256'),
      vocabSize: check.number(job.vocabSize, 'job.vocabSize', 1, MAX_VOCABULARY),
      k: check.number(job.k, 'job.k', 1, MAX_TRACE_K),
      precision: check.oneOf(job.precision, 'job.precision', ['f16', 'f32'] as const),
      mode: check.oneOf(job.mode, 'job.mode', ['generate', 'score'] as const),
      maxNewTokens: check.number(job.maxNewTokens, 'job.maxNewTokens', 0, 2 ** 31),
      temperature: check.number(job.temperature, 'job.temperature', 0, 100, false),
      topP: check.number(job.topP, 'job.topP', 0, 1, false),
      seed: check.text(job.seed, 'job.seed'),
      untilEnd: check.boolean(job.untilEnd, 'job.untilEnd'),
      prompts: check.facts(job.prompts, 'job.prompts'),
    },
    first: check.number(header.first, 'first', 0, Number.MAX_SAFE_INTEGER),
    report: {
      views: check.number(report.views, 'report.views', 0, Number.MAX_SAFE_INTEGER),
      viewsWithUnknown: check.number(report.viewsWithUnknown, 'report.viewsWithUnknown', 0, Number.MAX_SAFE_INTEGER),
      unknownMass: check.number(report.unknownMass, 'report.unknownMass', 0, Number.MAX_SAFE_INTEGER, false),
      cutTraces: check.number(report.cutTraces, 'report.cutTraces', 0, Number.MAX_SAFE_INTEGER),
      movedBorders: check.number(report.movedBorders, 'report.movedBorders', 0, Number.MAX_SAFE_INTEGER),
    },
  };
  if (issues.length === 0) return result;
  throw badTraceFile(where, issues.map(({ path, message }) => `${path} ${message}`).join('; '), issues);
}

export function badTraceFile(where: string, what: string, data?: unknown): QuasarError {
  return new QuasarError('infer.bad_trace_file', `${where}: ${what}`, {
    hint: 'get the file again, or make the traces again',
    data,
  });
}

/** Collects findings; what it returns counts only when there are none. */
class Checker {
  readonly #issues: Issue[];

  constructor(issues: Issue[]) {
    this.#issues = issues;
  }

  object(value: unknown, path: string): Record<string, unknown> {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    this.#refuse(path, 'is no object');
    return {};
  }

  number(value: unknown, path: string, low: number, high: number, isWhole = true): number {
    if (typeof value === 'number' && value >= low && value <= high && (!isWhole || Number.isInteger(value)))
      return value;
    this.#refuse(path, `is no ${isWhole ? 'whole ' : ''}number from ${low} to ${high}`);
    return low;
  }

  text(value: unknown, path: string, pattern = /^\P{Cc}{0,1000}$/u): string {
    if (typeof value === 'string' && pattern.test(value)) return value;
    this.#refuse(path, 'is no text of the kind expected');
    return '';
  }

  digest(value: unknown, path: string): string {
    return this.text(value, path, /^[0-9a-f]{64}$/);
  }

  boolean(value: unknown, path: string): boolean {
    if (typeof value !== 'boolean') this.#refuse(path, 'is neither true nor false');
    return value === true;
  }

  oneOf<T extends string>(value: unknown, path: string, allowed: readonly T[]): T {
    if (allowed.includes(value as T)) return value as T;
    this.#refuse(path, `is none of ${allowed.join(', ')}`);
    return allowed[0]!;
  }

  facts(value: unknown, path: string): TraceJob['prompts'] {
    const facts = Object.entries(this.object(value, path)).slice(0, 64);
    return Object.fromEntries(
      facts.map(([name, fact]) => {
        this.text(name, path);
        return [
          name,
          typeof fact === 'number' || typeof fact === 'boolean' ? fact : this.text(fact, `${path}.${name}`),
        ];
      }),
    );
  }

  teacher(teacher: Record<string, unknown>): TeacherIdentity {
    const path = 'job.teacher';
    const tokenizerSha256 = this.digest(teacher.tokenizerSha256, `${path}.tokenizerSha256`);
    if (this.oneOf(teacher.kind, `${path}.kind`, ['local', 'openai'] as const) === 'local') {
      const weightsSha256 = this.digest(teacher.weightsSha256, `${path}.weightsSha256`);
      return {
        kind: 'local',
        family: this.text(teacher.family, `${path}.family`, /^\w{1,60}$/),
        weightsSha256,
        tokenizerSha256,
      };
    }
    return {
      kind: 'openai',
      host: this.text(teacher.host, `${path}.host`, /^[\w.:[\]-]{1,255}$/),
      model: this.text(teacher.model, `${path}.model`, /^[\x20-\x7e]{1,255}$/),
      prompts: this.oneOf(teacher.prompts, `${path}.prompts`, ['ids', 'text', 'messages'] as const),
      vocabulary: this.oneOf(teacher.vocabulary, `${path}.vocabulary`, ['ids', 'splits', 'counts'] as const),
      tokenizerSha256,
    };
  }

  #refuse(path: string, message: string): void {
    this.#issues.push({ code: 'infer.bad_trace_file', path, message });
  }
}
