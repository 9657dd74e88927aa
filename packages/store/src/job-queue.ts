/**
 * @file The job queue: claim, heartbeat, complete; for several worker processes on one machine.
 *
 * A lease is a random token and a time. Whoever finds the time passed may take the job with a new token; the old
 * holder then gets `false` from every call and must drop its work. A result is therefore stored exactly once, but
 * a job may be *run* more than once: `attempt` counts the leases, and giving up after so many is the caller's rule.
 * Times are this machine's wall clock. Left out: priorities, workers on several machines (that is a Postgres queue).
 */
import { randomBytes } from 'node:crypto';
import type { Connection } from './connection.ts';
import { toJsonText } from './json-text.ts';

export interface Job<T = unknown> {
  id: number;
  kind: string;
  key: string;
  payload: T;
  /** 1 at the first lease. */
  attempt: number;
  leaseToken: string;
}

export interface JobError {
  code: string;
  message: string;
  hint?: string | undefined;
}

export interface JobOutcome<T = unknown> {
  /** `leased` stays until somebody takes over, even when the lease's time has passed. */
  state: 'queued' | 'leased' | 'done' | 'failed';
  attempt: number;
  /** What `complete` was given; null in every other state. */
  result: T | null;
  /** The newest failure, kept while the job waits for its next attempt. */
  error: JobError | null;
}

type Lease = Pick<Job, 'id' | 'leaseToken'>;

interface Row {
  id: number;
  kind: string;
  key: string;
  payload: string;
  state: JobOutcome['state'];
  attempt: number;
  lease_token: string;
  result: string | null;
  error: string | null;
}

export class JobQueue {
  readonly #connection: Connection;
  readonly #clock: () => number;

  constructor(connection: Connection, clock: () => number) {
    this.#connection = connection;
    this.#clock = clock;
  }

  /** @returns false when a job of this kind and key was added before, in whatever state it is now. */
  add(kind: string, key: string, payload: unknown): boolean {
    return this.#changed(
      `INSERT INTO jobs (kind, key, payload, state, attempt, available_at_ms) VALUES (?, ?, ?, 'queued', 0, ?)
       ON CONFLICT (kind, key) DO NOTHING RETURNING id`,
      [kind, key, toJsonText(payload, `job ${kind} ${key}`), this.#clock()],
    );
  }

  /** The oldest job of these kinds that is due or whose lease ran out, or null. */
  lease<T = unknown>(kinds: readonly string[], leaseMs: number): Job<T> | null {
    const nowMs = this.#clock();
    const [row] = this.#connection.all<Row>(
      `UPDATE jobs SET state = 'leased', attempt = attempt + 1, lease_token = ?, available_at_ms = ?
       WHERE id = (SELECT id FROM jobs WHERE kind IN (${kinds.map(() => '?').join(', ')})
                   AND state IN ('queued', 'leased') AND available_at_ms <= ? ORDER BY id LIMIT 1)
       RETURNING *`,
      [randomBytes(16).toString('hex'), nowMs + leaseMs, ...kinds, nowMs],
    );
    if (row === undefined) return null;
    const { id, kind, key, attempt } = row;
    return { id, kind, key, payload: JSON.parse(row.payload), attempt, leaseToken: row.lease_token };
  }

  /** Extends the lease to `leaseMs` from now. @returns false when the lease was lost: stop working on it. */
  heartbeat(job: Lease, leaseMs: number): boolean {
    return this.#changed(`UPDATE jobs SET available_at_ms = ? ${HELD}`, [this.#clock() + leaseMs, ...held(job)]);
  }

  /** @returns false when the lease was lost: the result was not stored. */
  complete(job: Lease, result: unknown): boolean {
    return this.#changed(`UPDATE jobs SET state = 'done', result = ?, error = NULL, lease_token = NULL ${HELD}`, [
      toJsonText(result ?? null, `result of job ${job.id}`),
      ...held(job),
    ]);
  }

  /** With `retryAtMs` the job waits until then; without, it has failed for good. @returns false when the lease was lost. */
  fail(job: Lease, error: JobError, options: { retryAtMs?: number | undefined } = {}): boolean {
    const retry = options.retryAtMs !== undefined;
    return this.#changed(`UPDATE jobs SET state = ?, error = ?, available_at_ms = ?, lease_token = NULL ${HELD}`, [
      retry ? 'queued' : 'failed',
      toJsonText(error, `error of job ${job.id}`),
      retry ? Math.ceil(options.retryAtMs as number) : this.#clock(),
      ...held(job),
    ]);
  }

  /** Where a job stands, or null when it was never added. */
  result<T = unknown>(kind: string, key: string): JobOutcome<T> | null {
    const [row] = this.#connection.all<Row>('SELECT * FROM jobs WHERE kind = ? AND key = ?', [kind, key]);
    if (row === undefined) return null;
    return {
      state: row.state,
      attempt: row.attempt,
      result: row.result === null ? null : JSON.parse(row.result),
      error: row.error === null ? null : JSON.parse(row.error),
    };
  }

  #changed(sql: string, parameters: readonly (string | number | null)[]): boolean {
    return this.#connection.all(sql, parameters).length > 0;
  }
}

const HELD = "WHERE id = ? AND lease_token = ? AND state = 'leased' RETURNING id";

function held(job: Lease): [number, string] {
  return [job.id, job.leaseToken];
}
