/**
 * @file The lease table in an SQLite file, for the processes of one machine.
 *
 * No time is written down for a lease, so a jump of the wall clock changes nothing: a lease is a counter that its holder
 * raises, and it has run out when another worker has looked at the same count for as long as the lease lasts. A job
 * whose worker died while no other was there begins to wait when the next one comes.
 * Changes by other processes are seen through `PRAGMA data_version`, which any commit to the file raises.
 */
import type { Connection } from '../connection.ts';
import { openFile } from '../open-file.ts';
import { type JobError, type JobOutcome, MAX_LOST_LEASES, ORPHAN_BLOB_HOURS } from './job-queue.ts';
import { type ClaimedJob, type Lease, type LeaseTable, type NewRow, POISON } from './lease-table.ts';
import { type ClaimedRow, type OutcomeRow, toClaimed, toOutcomes } from './rows.ts';

/** How often a waiting process looks for other processes' commits. */
const POLL_MS = 50;

const ADD = `INSERT INTO jobs (kind, key, payload, state) VALUES (?, ?, ?, 'queued') ON CONFLICT (kind, key) DO NOTHING`;

const CLAIM = `UPDATE jobs SET state = 'running', attempt = attempt + 1, token = lower(hex(randomblob(16))), lease_ms = ?
  WHERE id IN (SELECT id FROM jobs WHERE state = 'queued' AND kind IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?)
  RETURNING id, token, kind, key, payload, attempt`;

/** The last one to have held the job, while nobody else took it. */
const HELD = `id = ? AND token = ? AND state IN ('running', 'queued')`;

const BEAT = `UPDATE jobs SET beats = beats + 1, lease_ms = ?, lost = lost - (state = 'queued'), state = 'running'
  WHERE ${HELD} RETURNING token`;

const TAKE_BACK = `UPDATE jobs SET lost = lost + 1, state = iif(lost + 1 < ${MAX_LOST_LEASES}, 'queued', 'failed'),
    error = iif(lost + 1 < ${MAX_LOST_LEASES}, error, ?)
  WHERE id = ? AND token = ? AND beats = ? AND state = 'running'`;

const BEGINS_WITH = (column: string) => `substr(${column}, 1, length(?1)) = ?1`;

interface RunningRow {
  id: number;
  token: string;
  beats: number;
  lease_ms: number;
}

interface Watched {
  beats: number;
  lookedAtMs: number;
  silentMs: number;
}

interface Waiter {
  what: 'work' | 'any';
  wake: () => void;
}

export class SqliteTable implements LeaseTable {
  readonly #connection: Connection;
  /** By token: other workers' leases, and for how long we have seen no sign of life. */
  #watched = new Map<string, Watched>();
  readonly #waiters = new Set<Waiter>();

  /** @throws QuasarError as `openFile` */
  constructor(path: string) {
    this.#connection = openFile(path, Date.now(), { check: false });
  }

  async add(rows: readonly NewRow[]): Promise<void> {
    this.#connection.transaction(() => {
      for (const { kind, key, payload } of rows) this.#connection.all(ADD, [kind, key, payload]);
    });
    this.#wake('work');
  }

  async outcomes(kind: string, keys: readonly string[]): Promise<Map<string, JobOutcome>> {
    const sql =
      'SELECT key, state, attempt, result, error FROM jobs WHERE kind = ? AND key IN (SELECT value FROM json_each(?))';
    return toOutcomes(this.#connection.all<OutcomeRow>(sql, [kind, JSON.stringify(keys)]));
  }

  async claim(kinds: readonly string[], leaseMs: number, limit: number): Promise<ClaimedJob[]> {
    return toClaimed(this.#connection.all<ClaimedRow>(CLAIM, [leaseMs, JSON.stringify(kinds), limit]));
  }

  async heartbeat(leases: () => readonly Lease[], leaseMs: number): Promise<string[]> {
    const own = leases();
    const silent = this.#silent(new Set(own.map(({ token }) => token)));
    if (own.length === 0 && silent.length === 0) return [];
    const lost: string[] = [];
    this.#connection.transaction(() => {
      for (const { id, token } of own) {
        if (this.#connection.all(BEAT, [leaseMs, id, token]).length === 0) lost.push(token);
      }
      for (const { id, token, beats } of silent) {
        this.#connection.all(TAKE_BACK, [JSON.stringify(POISON), id, token, beats]);
      }
    });
    if (silent.length > 0) this.#wake('work');
    return lost;
  }

  async complete(lease: Lease, result: string): Promise<boolean> {
    return this.#settle(`state = 'done', result = ?, error = NULL`, result, lease);
  }

  async fail(lease: Lease, error: JobError): Promise<boolean> {
    return this.#settle(`state = 'failed', error = ?`, JSON.stringify(error), lease);
  }

  async giveBack(lease: Lease, error: JobError | null): Promise<boolean> {
    return this.#settle(`state = 'queued', error = coalesce(?, error)`, error && JSON.stringify(error), lease);
  }

  async forget(prefix: string): Promise<void> {
    this.#connection.transaction(() => {
      this.#connection.all(`DELETE FROM jobs WHERE ${BEGINS_WITH('key')}`, [prefix]);
      this.#connection.all(`DELETE FROM blob_tags WHERE ${BEGINS_WITH('tag')}`, [prefix]);
      this.#connection.all(
        `DELETE FROM blob_tags WHERE put_at_unix < unixepoch() - ${ORPHAN_BLOB_HOURS * 3600}
         AND NOT EXISTS (SELECT 1 FROM jobs WHERE substr(key, 1, length(tag)) = tag)`,
      );
      this.#connection.all('DELETE FROM blobs WHERE sha256 NOT IN (SELECT sha256 FROM blob_tags)');
    });
    this.#wake('any');
  }

  async putBlob(sha256: string, bytes: Uint8Array, tag: string): Promise<void> {
    this.#connection.transaction(() => {
      this.#connection.all('INSERT INTO blobs VALUES (?, ?) ON CONFLICT DO NOTHING', [sha256, bytes]);
      this.#connection.all('INSERT INTO blob_tags VALUES (?, ?, unixepoch()) ON CONFLICT DO NOTHING', [tag, sha256]);
    });
  }

  async getBlob(sha256: string): Promise<Uint8Array | null> {
    const [row] = this.#connection.all<{ bytes: ArrayBuffer }>('SELECT bytes FROM blobs WHERE sha256 = ?', [sha256]);
    return row === undefined ? null : new Uint8Array(row.bytes);
  }

  changed(what: 'work' | 'any', timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    const seen = this.#dataVersion();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timeout);
        clearInterval(poll);
        signal.removeEventListener('abort', done);
        this.#waiters.delete(waiter);
        resolve();
      };
      const waiter: Waiter = { what, wake: done };
      const timeout = setTimeout(done, timeoutMs);
      const poll = setInterval(() => {
        if (this.#connection.closed || this.#dataVersion() !== seen) done();
      }, POLL_MS);
      signal.addEventListener('abort', done, { once: true });
      this.#waiters.add(waiter);
    });
  }

  async close(): Promise<void> {
    this.#connection.close();
    this.#wake('work');
  }

  /** Leases of others whose count did not move for as long as they last. */
  #silent(own: ReadonlySet<string>): RunningRow[] {
    const rows = this.#connection
      .all<RunningRow>(`SELECT id, token, beats, lease_ms FROM jobs WHERE state = 'running'`)
      .filter(({ token }) => !own.has(token));
    const nowMs = performance.now();
    const watched = new Map<string, Watched>();
    for (const { token, beats, lease_ms } of rows) {
      const before = this.#watched.get(token);
      // Of a long gap only a part counts: when this process was stopped, so perhaps was the other.
      const silentMs =
        before === undefined || before.beats !== beats
          ? 0
          : before.silentMs + Math.min(nowMs - before.lookedAtMs, lease_ms / 2);
      watched.set(token, { beats, lookedAtMs: nowMs, silentMs });
    }
    this.#watched = watched;
    return rows.filter(({ token, lease_ms }) => (watched.get(token)?.silentMs ?? 0) >= lease_ms);
  }

  #settle(set: string, value: string | null, { id, token }: Lease): boolean {
    const sql = `UPDATE jobs SET ${set}, token = NULL WHERE ${HELD} RETURNING state`;
    const [row] = this.#connection.all<{ state: JobOutcome['state'] }>(sql, [value, id, token]);
    if (row !== undefined) this.#wake(row.state === 'queued' ? 'work' : 'any');
    return row !== undefined;
  }

  /** Of commits by other connections; our own wake the waiters of this process directly. */
  #dataVersion(): number | undefined {
    return this.#connection.all<{ data_version: number }>('PRAGMA data_version')[0]?.data_version;
  }

  /** New work concerns everybody, a result only those who wait for anything. */
  #wake(what: 'work' | 'any'): void {
    for (const waiter of [...this.#waiters]) if (what === 'work' || waiter.what === 'any') waiter.wake();
  }
}
