/**
 * @file The job queue: work that any number of processes share, and its results, kept until they are forgotten.
 *
 * A job is leased, not given: a worker says at intervals that it is alive, and a job whose worker falls silent for
 * `leaseMs` goes to the next one. So a job may be *run* more than once, but its result is stored once, and a job must
 * be a function of its payload alone. Two drivers keep these promises, proven by one suite (`testing/queue-contract.ts`):
 * an SQLite file for the processes of one machine, Postgres for many machines.
 * Left out: priorities, schedules, and jobs that wait for other jobs.
 */

export interface NewJob {
  kind: string;
  /** Names the job within its kind; a path such as `round/1f00ab34/kl/ann/0-64`, so that `forget` can take a whole round. */
  key: string;
  /** JSON, at most `MAX_JSON_BYTES`; what is larger goes into a blob. */
  payload: unknown;
}

export interface LeasedJob<T = unknown> {
  kind: string;
  key: string;
  payload: T;
  /** 1 at the first lease; counts every time the job was handed to a worker. */
  attempt: number;
}

export interface JobError {
  code: string;
  message: string;
  hint?: string | undefined;
}

export interface JobOutcome<T = unknown> {
  /** A job stays `running` while its worker is silent, until another worker takes it over. */
  state: 'queued' | 'running' | 'done' | 'failed';
  attempt: number;
  /** What the handler returned; null in every other state. */
  result: T | null;
  /** Why it failed, or why it is to be tried again; null once it is done. */
  error: JobError | null;
}

export interface WorkOptions {
  kinds: readonly string[];
  /** A worker that is silent for this long has lost its jobs. Default 15,000 ms; heartbeats come three times as often. */
  leaseMs?: number | undefined;
  /** Jobs run at the same time. Default 1. */
  concurrency?: number | undefined;
  signal: AbortSignal;
  /**
   * Runs one job; what it returns (JSON) is the result. It may run again elsewhere, even at the same time, so it must
   * have no effect but its result and its blobs. It must leave the event loop free for heartbeats.
   *
   * `context.signal` aborts when the job was lost to another worker or forgotten (whatever the handler does then is
   * dropped), and when the worker is asked to stop: finish, or throw to give the job back at once.
   *
   * A QuasarError with `retry: 'later'` gives the job back after a pause (1 s, doubled with each attempt up to 60 s);
   * any other error fails the job for good.
   */
  handler: (job: LeasedJob, context: { signal: AbortSignal }) => Promise<unknown>;
}

export interface JobQueue {
  /**
   * Adds what is not there yet, in this order; a job of the same kind and key stays as it is, in whatever state.
   * @throws QuasarError `store.not_json` | `queue.too_large`; then nothing was added
   */
  add(jobs: readonly NewJob[]): Promise<void>;

  /** Where the jobs of these keys stand; a key that was never added is not in the map. */
  outcomes<T = unknown>(kind: string, keys: readonly string[]): Promise<Map<string, JobOutcome<T>>>;

  /**
   * Resolves when a job may have changed since this call began, and at the latest after `timeoutMs` or on `signal`.
   * To miss nothing, call it before looking and await it afterwards:
   *
   *     const change = queue.changed({ timeoutMs: 5_000, signal });
   *     const outcomes = await queue.outcomes('kl', keys);
   *     if (!complete(outcomes)) await change;
   */
  changed(options: { timeoutMs: number; signal: AbortSignal }): Promise<void>;

  /**
   * Takes and runs jobs, oldest first, until `signal` aborts; then takes no more and resolves when the running ones
   * have finished or were given back. A database that is away is waited for.
   * @throws QuasarError when the queue itself cannot be used: closed, damaged, no privilege
   */
  work(options: WorkOptions): Promise<void>;

  /** Throws away all jobs, results and blobs whose key or tag begins with `prefix`: a finished round. */
  forget(prefix: string): Promise<void>;

  /**
   * Keeps bytes that are too large for JSON (teacher traces, per-token divergence) until their tag is forgotten. The same
   * bytes are kept once, under as many tags as they were put with.
   * @returns their sha256 in hex
   * @throws QuasarError `queue.too_large` above `MAX_BLOB_BYTES`
   */
  putBlob(bytes: Uint8Array, tag: string): Promise<string>;

  /** The bytes, checked against their hash, or null when they are not (or no longer) here. */
  getBlob(sha256: string): Promise<Uint8Array | null>;

  /** Stop the workers first. */
  close(): Promise<void>;
}

/** Of one payload or result as JSON text: the queue is read whole by every validator that waits for it. */
export const MAX_JSON_BYTES = 1 << 20;

/** One blob is one row, several times in memory on its way: larger evidence has to be cut into shards. */
export const MAX_BLOB_BYTES = 64 << 20;

/**
 * So many workers may die or fall silent with a job before it is taken for poison and failed as `queue.poison`. Large
 * enough that machines which fail for their own reasons do not reach it, small enough that a fleet survives the job.
 */
export const MAX_LOST_LEASES = 5;

/** A blob that belongs to no job is thrown away after a day: a stalled worker may put one after its round was forgotten. */
export const ORPHAN_BLOB_HOURS = 24;
