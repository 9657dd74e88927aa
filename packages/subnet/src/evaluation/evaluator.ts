/**
 * @file The evaluator: takes units from the queue, gets the models they name, has them computed in a cage, gives results.
 *
 * It decides nothing and remembers nothing; any number of them may work on one queue. Who is at fault when a unit fails
 * is found out here, where it fails: the unit is tried again in a fresh cage, and when a submission's cage dies twice,
 * the base model takes the same unit. If that dies as well, this machine cannot do it, and the unit goes to another one.
 */
import { QuasarError } from '@quasar/base';
import type { JobQueue, LeasedJob } from '@quasar/store';
import { CAGE_FAILURES } from './cage/cage.ts';
import type { UnitInput, UnitOutput, UnitRunner } from './compute.ts';
import type { ModelStore } from './model-store.ts';
import { readUnit, UNIT_KINDS, type Unit, type UnitKind, unitBlobs, unitModels } from './units.ts';

/** What an evaluator has done with one unit, for people. */
export interface UnitReport {
  kind: UnitKind;
  key: string;
  /** Of its model: a repository, or `base` or `teacher`. */
  model: string;
  /** From lease to result, milliseconds. */
  wallMs: number;
  error: { code: string; message: string } | null;
}

export interface EvaluatorOptions {
  queue: JobQueue;
  models: ModelStore;
  /** One unit at a time. Closed by whoever opened it. */
  runner: UnitRunner;
  signal: AbortSignal;
  /** Without a sign of life for so long, somebody else takes the unit. Default: that of the queue. */
  leaseMs?: number | undefined;
  onUnit?: ((report: UnitReport) => void) | undefined;
  /** Rows of the running unit that are done. */
  onProgress?: ((unit: Unit, rows: number) => void) | undefined;
}

/** Works until `signal` aborts; then the running unit is given back. @throws QuasarError when the queue cannot be used */
export async function runEvaluator(options: EvaluatorOptions): Promise<void> {
  await options.queue.work({
    kinds: UNIT_KINDS,
    leaseMs: options.leaseMs,
    signal: options.signal,
    handler: (job, { signal }) => evaluate(options, job, signal),
  });
}

async function evaluate(options: EvaluatorOptions, job: LeasedJob, signal: AbortSignal): Promise<unknown> {
  const startedMs = performance.now();
  const unit = readUnit(job.kind, job.payload);
  if (unit === null)
    throw new QuasarError('evaluation.unknown_unit', `${job.kind} ${job.key} is no unit of this version`, {
      hint: 'Run the same version of Quasar on the validator and on every evaluator.',
      retry: 'later',
    });
  const told = (error: UnitReport['error']) => {
    const model = unit.model.from === 'hub' ? unit.model.repo : unit.model.from;
    const wallMs = performance.now() - startedMs;
    options.onUnit?.({ kind: unit.kind, key: job.key, model, wallMs, error });
  };
  try {
    const { result, blob } = await compute(options, unit, signal);
    const digest = blob && (await options.queue.putBlob(blob.bytes, job.key));
    told(null);
    return blob === null ? result : { ...result, [blob.name]: digest };
  } catch (error) {
    const code = error instanceof QuasarError ? error.code : 'evaluation.unexpected';
    told({ code, message: error instanceof Error ? error.message : String(error) });
    throw error;
  }
}

async function compute(options: EvaluatorOptions, unit: Unit, signal: AbortSignal): Promise<UnitOutput> {
  const { queue, models, runner } = options;
  const directories = await Promise.all(unitModels(unit).map((ref) => models.directory(ref, signal)));
  const blobs = await Promise.all(unitBlobs(unit).map((sha256) => blobOf(queue, sha256)));
  const run = (input: UnitInput) =>
    runner.run(input, { signal, onProgress: (rows) => options.onProgress?.(unit, rows) });
  const input = { unit, directories, blobs };
  try {
    return await run(input);
  } catch (error) {
    if (isNobodysFault(error)) throw error;
  }
  await runner.close();
  try {
    return await run(input);
  } catch (error) {
    if (unit.model.from !== 'hub' || !(error instanceof QuasarError) || !CAGE_FAILURES.has(error.code)) throw error;
    await runner.close();
    await checkMachine(unit.kind, error, () => run({ ...input, directories: controlOf(options, directories) }));
    throw error;
  }
}

/** The same unit with the base model, which has the same architecture and is known to work. */
function controlOf({ models }: EvaluatorOptions, [, ...others]: string[]): string[] {
  return [models.baseDirectory, ...others];
}

/** @throws QuasarError `evaluation.machine` when the control fails too: this machine is at fault, not the model */
async function checkMachine(kind: UnitKind, failure: QuasarError, control: () => Promise<unknown>): Promise<void> {
  try {
    await control();
  } catch (error) {
    if (error instanceof QuasarError && error.code === 'evaluation.cancelled') throw error;
    throw new QuasarError(
      'evaluation.machine',
      `a unit of ${kind} fails here with the base model too (${failure.message}): this machine cannot do it`,
      { hint: 'Give the evaluator more memory, or fewer things beside it.', retry: 'later', cause: error },
    );
  }
}

function isNobodysFault(error: unknown): boolean {
  return error instanceof QuasarError && error.retry === 'later';
}

/** @throws QuasarError `evaluation.blob_missing` */
async function blobOf(queue: JobQueue, sha256: string): Promise<Uint8Array> {
  const bytes = await queue.getBlob(sha256);
  if (bytes !== null) return bytes;
  throw new QuasarError('evaluation.blob_missing', `the queue does not hold the blob ${sha256.slice(0, 12)}`, {
    hint: 'The round was finished meanwhile, or the queue was emptied; the next round makes it again.',
  });
}
