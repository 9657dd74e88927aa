/** @file A folder of trace files that fit together: same teacher, tokenizer, k and precision. Other files are left alone. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { canonicalJson, QuasarError } from '@quasar/base';
import type { Tokenizer } from '@quasar/model';
import { tokenizerDigest, vocabularyDiffers } from '../teacher/vocabulary.ts';
import type { Trace } from '../types.ts';
import { badTraceFile, type TraceJob, type TraceKind } from './header.ts';
import { TRACE_FILE_ENDING, TraceFile } from './trace-file.ts';

export class TraceSet {
  readonly directory: string;
  /** In the order of their names: however a set was put together, its order is the same. */
  readonly files: readonly TraceFile[];
  readonly kind: TraceKind;

  private constructor(directory: string, files: readonly TraceFile[], kind: TraceKind) {
    this.directory = directory;
    this.files = files;
    this.kind = kind;
  }

  /**
   * Reads headers and tables, not the traces.
   * @throws QuasarError infer.no_traces, infer.traces_differ, infer.bad_trace_file, infer.traces_unreadable
   */
  static open(directory: string): TraceSet {
    const files = traceFiles(directory);
    const [first] = files;
    if (!first) {
      throw new QuasarError('infer.no_traces', `${directory}: no file of traces`, {
        hint: `make some with \`quasar traces make --out ${directory}\``,
      });
    }
    const kind = kindOf(first.header.job);
    for (const file of files) requireSameKind(kind, kindOf(file.header.job), basename(file.path));
    return new TraceSet(directory, files, kind);
  }

  get length(): number {
    return this.files.reduce((sum, file) => sum + file.length, 0);
  }

  /** @throws QuasarError infer.vocabulary_differs unless the ids of the traces are of this tokenizer */
  requireTokenizer(tokenizer: Tokenizer): void {
    const { tokenizerSha256, vocabSize } = this.kind;
    const digest = tokenizerDigest(tokenizer);
    if (digest === tokenizerSha256) return;
    const [theirs, ours] = [tokenizerSha256, digest].map((each) => each.slice(0, 12));
    throw vocabularyDiffers(
      `the traces have ${vocabSize} tokens (${theirs}), the student has ${tokenizer.vocabSize} (${ours})`,
    );
  }

  /** Every trace, checked. @throws QuasarError infer.bad_trace_file */
  *traces(): Generator<Trace> {
    for (const file of this.files) for (let i = 0; i < file.length; i++) yield file.read(i);
  }
}

/** Trace files of a folder, by name; none where there is no folder. @throws QuasarError infer.bad_trace_file */
export function traceFiles(directory: string): TraceFile[] {
  if (!existsSync(directory)) return [];
  if (!statSync(directory).isDirectory()) throw badTraceFile(directory, 'this is no folder');
  const names = readdirSync(directory).filter((name) => name.endsWith(TRACE_FILE_ENDING));
  return names.sort().map((name) => TraceFile.open(join(directory, name)));
}

export function kindOf({ teacher, tokenizerSha256, vocabSize, k, precision }: TraceJob): TraceKind {
  return { teacher, tokenizerSha256, vocabSize, k, precision };
}

/** @throws QuasarError infer.traces_differ */
export function requireSameKind(expected: TraceKind, got: TraceKind, name: string): void {
  const keys = Object.keys(expected) as (keyof TraceKind)[];
  const key = keys.find((each) => canonicalJson(expected[each]) !== canonicalJson(got[each]));
  if (key === undefined) return;
  const what = `${key} is ${canonicalJson(got[key])}, that of the folder is ${canonicalJson(expected[key])}`;
  throw new QuasarError('infer.traces_differ', `${name}: ${what}`, {
    hint: 'keep traces of another teacher, tokenizer, k or precision in a folder of their own',
  });
}

/** Reads everything: every record, and the digest against the name. @throws QuasarError infer.bad_trace_file */
export async function verifyTraceFile(file: TraceFile): Promise<void> {
  const name = basename(file.path);
  const digest = await file.digest();
  if (name !== digest + TRACE_FILE_ENDING) throw badTraceFile(name, `its SHA-256 is ${digest}`);
  for (let i = 0; i < file.length; i++) file.read(i);
}

/**
 * Copies files of traces into a set, each verified first; those that are there already are left alone.
 * @param from files, or folders of them
 * @throws QuasarError infer.bad_trace_file, infer.traces_differ, infer.no_traces, infer.traces_unreadable,
 * infer.traces_unwritable
 */
export async function importTraces(directory: string, from: readonly string[]): Promise<{ added: string[] }> {
  const files = from.flatMap((path) => {
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
    return isFolder ? TraceSet.open(path).files : [TraceFile.open(path)];
  });
  const [first = files[0]] = traceFiles(directory);
  if (first)
    for (const file of files) requireSameKind(kindOf(first.header.job), kindOf(file.header.job), basename(file.path));
  for (const file of files) await verifyTraceFile(file);
  const added: string[] = [];
  for (const { path } of files) {
    const target = join(directory, basename(path));
    if (existsSync(target)) continue;
    writing(directory, () => copyAtomic(path, target));
    added.push(basename(path));
  }
  return { added };
}

function copyAtomic(path: string, target: string): void {
  const temporary = `${target}.${process.pid}.tmp`;
  mkdirSync(dirname(target), { recursive: true });
  try {
    copyFileSync(path, temporary);
    renameSync(temporary, target);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** @throws QuasarError infer.traces_unwritable in place of what the file system says */
export function writing(directory: string, write: () => void): void {
  try {
    write();
  } catch (cause) {
    throw new QuasarError('infer.traces_unwritable', `${directory}: ${(cause as Error).message}`, {
      hint: 'make room, or choose another folder; what was written before is whole, and the same command goes on after it',
      retry: 'later',
      cause,
    });
  }
}
