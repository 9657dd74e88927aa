/** @file The `JobQueue` in front of any lease table: checks what comes in, names blobs by their hash, runs workers. */
import { createHash } from 'node:crypto';
import { QuasarError, sleep } from '@quasar/base';
import { isAway, RECONNECT_MS } from './away.ts';
import type { JobOutcome, JobQueue, NewJob, WorkOptions } from './job-queue.ts';
import type { LeaseTable } from './lease-table.ts';
import { boundedJson, checkBlob, checkName } from './limits.ts';
import { Worker } from './worker.ts';

/** A restart of Postgres takes seconds. */
const PATIENCE_MS = 30_000;

export class TableQueue implements JobQueue {
  readonly #table: LeaseTable;

  constructor(table: LeaseTable) {
    this.#table = table;
  }

  async add(jobs: readonly NewJob[]): Promise<void> {
    const rows = jobs.map(({ kind, key, payload }) => {
      checkName(kind, 'kind');
      checkName(key, 'key');
      return { kind, key, payload: boundedJson(payload, `payload of ${kind} ${key}`) };
    });
    if (rows.length > 0) await patiently(() => this.#table.add(rows));
  }

  async outcomes<T = unknown>(kind: string, keys: readonly string[]): Promise<Map<string, JobOutcome<T>>> {
    return (await patiently(() => this.#table.outcomes(kind, keys))) as Map<string, JobOutcome<T>>;
  }

  changed(options: { timeoutMs: number; signal: AbortSignal }): Promise<void> {
    return this.#table.changed('any', options.timeoutMs, options.signal);
  }

  async work(options: WorkOptions): Promise<void> {
    await new Worker(this.#table, options).run();
  }

  async forget(prefix: string): Promise<void> {
    checkName(prefix, 'prefix');
    await patiently(() => this.#table.forget(prefix));
  }

  async putBlob(bytes: Uint8Array, tag: string): Promise<string> {
    checkName(tag, 'tag');
    checkBlob(bytes, tag);
    const sha256 = sha256Of(bytes);
    await patiently(() => this.#table.putBlob(sha256, bytes, tag));
    return sha256;
  }

  async getBlob(sha256: string): Promise<Uint8Array | null> {
    const bytes = await patiently(() => this.#table.getBlob(sha256));
    if (bytes !== null && sha256Of(bytes) !== sha256) {
      throw new QuasarError('queue.damaged_blob', `blob ${sha256}: the bytes kept under this hash have another one`, {
        hint: 'forget the round and let it run again; check the disk of the database',
      });
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.#table.close();
  }
}

/** Every call may be repeated, so a database that restarts is waited for; one that stays away is the caller's to know. */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isAway(error) || performance.now() > deadlineMs) throw error;
    }
    await sleep(RECONNECT_MS);
  }
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
