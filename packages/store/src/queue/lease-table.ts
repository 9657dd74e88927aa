/**
 * @file What a driver does, each in one atomic step: the border between the databases and what both share
 * (`worker.ts` runs jobs on it, `table-queue.ts` is the `JobQueue` in front of it).
 *
 * A lease is a random token in the job's row. Every write of a worker names its token, and finds no row once the job was
 * taken over, finished or forgotten. A lease that ran out puts the job back in the queue but leaves the token: a worker
 * that was merely slow goes on, unless somebody else was faster.
 */
import { type JobError, type JobOutcome, MAX_LOST_LEASES } from './job-queue.ts';

export interface Lease {
  id: number;
  token: string;
}

export interface ClaimedJob extends Lease {
  kind: string;
  key: string;
  payload: unknown;
  attempt: number;
}

/** JSON as text: checked before it comes here. */
export interface NewRow {
  kind: string;
  key: string;
  payload: string;
}

export interface LeaseTable {
  add(rows: readonly NewRow[]): Promise<void>;
  outcomes(kind: string, keys: readonly string[]): Promise<Map<string, JobOutcome>>;
  /** The oldest waiting jobs of these kinds, at most `limit`, now leased for `leaseMs`. */
  claim(kinds: readonly string[], leaseMs: number, limit: number): Promise<ClaimedJob[]>;
  /**
   * One sign of life: extends the leases and puts jobs whose worker fell silent back in the queue; one that lost
   * `MAX_LOST_LEASES` workers fails as `queue.poison`.
   * @param leases Asked for when the statement is sent: a worker must not find its own, newest job silent.
   * @returns the tokens of those that are no longer held
   */
  heartbeat(leases: () => readonly Lease[], leaseMs: number): Promise<string[]>;
  /** @returns false when the lease was lost: nothing was stored */
  complete(lease: Lease, result: string): Promise<boolean>;
  fail(lease: Lease, error: JobError): Promise<boolean>;
  giveBack(lease: Lease, error: JobError | null): Promise<boolean>;
  forget(prefix: string): Promise<void>;
  putBlob(sha256: string, bytes: Uint8Array, tag: string): Promise<void>;
  getBlob(sha256: string): Promise<Uint8Array | null>;
  /**
   * Resolves at the first change after the call began, after `timeoutMs` or on `signal`. `work`: a job may have become
   * free to take; `any`: also results.
   */
  changed(what: 'work' | 'any', timeoutMs: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** The error of a job that lost too many workers. */
export const POISON: JobError = {
  code: 'queue.poison',
  message: `${MAX_LOST_LEASES} workers died or fell silent while they ran this job`,
  hint: 'look into the logs of the workers for what kills them; forget the job to let it run again',
};
