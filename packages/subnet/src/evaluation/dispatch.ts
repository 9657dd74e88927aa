/**
 * @file Handing the units of a round to the queue and collecting what comes back, in order.
 *
 * A unit's key says what it is, so asking again (another process, after a crash) finds what is done already. Results are
 * put together by position: who computed them, when, and in what order leaves no trace.
 */
import { QuasarError, sleep } from '@quasar/base';
import type { JobError, JobQueue } from '@quasar/store';
import type { KeptUnit } from '../evidence/evidence-folder.ts';
import { readResult, type Unit, type UnitKind, type UnitResult, unitPayload } from './units.ts';

/** With an idle queue one look per this time; a change wakes earlier. */
const LOOK_MS = 2000;
const AWAY_MS = 500;

/** Failures of the machinery around a model: they say nothing about it. */
const NOBODYS = /^(queue|hub|store|chain)\.|^evaluation\.(wrong_model|blob_missing|bad_blob|bad_result|cancelled)$/;

/** Whoever answers the units of a round: evaluators, or in a replay the evidence. */
export type UnitSource = Pick<RoundJobs, 'results'>;

/** A unit that has failed for good, after the evaluator's own second try. */
export class UnitFailure extends QuasarError {}

export class RoundJobs {
  readonly #queue: JobQueue;
  readonly #prefix: string;
  readonly #signal: AbortSignal;
  readonly #check: () => void;
  readonly #keep: (unit: KeptUnit) => Promise<void>;

  /**
   * @param prefix of every key: names the round, its rules and its models
   * @param check throws when waiting is pointless
   * @param keep takes every unit with its result before anything rests on it; tried again while it fails with `retry: 'later'`
   */
  constructor(
    queue: JobQueue,
    prefix: string,
    options: { signal: AbortSignal; check: () => void; keep?: (unit: KeptUnit) => Promise<void> },
  ) {
    this.#queue = queue;
    this.#prefix = prefix;
    this.#signal = options.signal;
    this.#check = options.check;
    this.#keep = options.keep ?? (async () => {});
  }

  /**
   * The results of units of one kind, in their order.
   * @param name of whose units these are; parts of a path
   * @param onDone results so far, holes where a unit is not done
   * @throws UnitFailure when one of them failed, with `retry: 'later'` when the model is not at fault
   * @throws QuasarError `validator.queue_failed`, `store.*`, and what `check` throws
   */
  async results<K extends UnitKind>(
    name: string,
    units: readonly Extract<Unit, { kind: K }>[],
    from: readonly number[],
    onDone: (sofar: readonly (UnitResult<K> | undefined)[]) => void = () => {},
  ): Promise<UnitResult<K>[]> {
    const [first] = units;
    if (first === undefined) return [];
    const { kind } = first as { kind: K };
    const keys = units.map((_, i) => `${this.#prefix}/${kind}/${name}/${from[i]}`);
    const done: (UnitResult<K> | undefined)[] = units.map(() => undefined);
    const jobs = units.map((unit, i) => ({ kind, key: keys[i]!, payload: unitPayload(unit) }));
    await this.#patiently(() => this.#queue.add(jobs));
    for (;;) {
      const changed = this.#queue.changed({ timeoutMs: LOOK_MS, signal: this.#signal });
      const pending = keys.filter((_, i) => done[i] === undefined);
      const outcomes = await this.#patiently(() => this.#queue.outcomes(kind, pending));
      let news = false;
      for (const [i, key] of keys.entries()) {
        const outcome = outcomes.get(key);
        if (outcome?.state === 'failed') throw failureOf(key, outcome.error);
        if (outcome?.state !== 'done') continue;
        const result = readResult(kind, outcome.result);
        if (result === null) throw badResult(key);
        const { payload } = jobs[i]!;
        await this.#patiently(() => this.#keep({ kind, name, from: from[i]!, payload, result: outcome.result }));
        done[i] = result;
        news = true;
      }
      if (news) onDone(done);
      if (done.every((result) => result !== undefined)) return done as UnitResult<K>[];
      // Gone from a queue that somebody emptied: it is asked for again.
      if (pending.some((key) => !outcomes.has(key))) await this.#patiently(() => this.#queue.add(jobs));
      await changed;
      this.#check();
    }
  }

  /** A queue that is away is waited for. */
  async #patiently<T>(step: () => Promise<T>): Promise<T> {
    for (;;) {
      this.#check();
      try {
        return await step();
      } catch (error) {
        if (!(error instanceof QuasarError) || error.retry !== 'later') throw unusable(error);
        await sleep(AWAY_MS, this.#signal);
      }
    }
  }
}

/** No fault of the model whose unit it was. */
function unusable(cause: unknown): unknown {
  if (!(cause instanceof QuasarError) || cause.code.startsWith('store.')) return cause;
  return new QuasarError('validator.queue_failed', `the job queue cannot be used: ${cause.message}`, { cause });
}

function failureOf(key: string, error: JobError | null): UnitFailure {
  const { code, message, hint } = error ?? { code: 'queue.handler', message: `${key} failed without a reason` };
  return new UnitFailure(code, message, {
    ...(hint === undefined ? {} : { hint }),
    retry: NOBODYS.test(code) ? 'later' : 'never',
  });
}

function badResult(key: string): UnitFailure {
  return new UnitFailure('evaluation.bad_result', `${key}: an evaluator gave a result that is none`, {
    hint: 'Run the same version of Quasar on the validator and on every evaluator.',
    retry: 'later',
  });
}
