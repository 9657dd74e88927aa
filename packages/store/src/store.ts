/**
 * @file Opening a store: one SQLite file with an event log and a job queue, shared by the processes of one machine.
 *
 * A new file is made complete under another name and then linked into place. So a file that exists is a whole one,
 * and an empty or torn file is damage that is reported, never a fresh start.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Connection, corrupt, unopenable } from './connection.ts';
import { EventLog, type EventQuery, type NewEvent, type StoredEvent } from './event-log.ts';
import { JobQueue } from './job-queue.ts';
import { migrate } from './migrations.ts';

export interface Store {
  /** Appends; when `key` was used before with the same type, nothing is written and the first event comes back. */
  append<T>(
    type: string,
    data: T,
    options?: { key?: string | undefined },
  ): { event: StoredEvent<T>; duplicate: boolean };
  /** Several events in one transaction, all or none; a known key gives the first event back, as in `append`. */
  appendAll(events: readonly NewEvent[]): StoredEvent[];
  /** In order of `seq`; without `limit` all of them. */
  events(query?: EventQuery): StoredEvent[];
  /** 0 for an empty log. */
  lastSeq(): number;
  /** Follows the log, past and future, until aborted or closed; other processes may be the writer. */
  follow(options: { afterSeq: number; signal: AbortSignal; pollMs?: number | undefined }): AsyncIterable<StoredEvent>;
  readonly jobs: JobQueue;
  close(): void;
}

export interface StoreOptions {
  /** SQLite file, made with its directories when absent; `:memory:` for one that nobody shares. */
  path: string;
  /** Milliseconds since 1970; default `Date.now`. Processes that share a file share a clock. */
  clock?: (() => number) | undefined;
}

/**
 * @throws QuasarError `store.corrupt` | `store.newer_schema` | `store.foreign_file` | `store.unopenable` | `store.busy` | `store.disk`
 */
export function openStore(options: StoreOptions): Store {
  const { path, clock = Date.now } = options;
  if (path !== ':memory:') {
    if (existsSync(path)) checkNotEmpty(path);
    else create(path, clock());
  }
  const connection = new Connection(path, 'wal');
  try {
    const [check] = connection.all<{ quick_check: string }>('PRAGMA quick_check(1)');
    if (check?.quick_check !== 'ok') throw corrupt(path, check?.quick_check ?? 'unreadable');
    migrate(connection, clock());
  } catch (error) {
    connection.close();
    throw error;
  }
  const log = new EventLog(connection, clock);
  return {
    append: (type, data, appendOptions) => log.append(type, data, appendOptions),
    appendAll: (events) => log.appendAll(events),
    events: (query) => log.events(query),
    lastSeq: () => log.lastSeq(),
    follow: (followOptions) => log.follow(followOptions),
    jobs: new JobQueue(connection, clock),
    close: () => {
      connection.close();
      log.wake();
    },
  };
}

function checkNotEmpty(path: string): void {
  if (statSync(path).size === 0) throw corrupt(path, 'it is empty');
}

/** Two processes may race here: the first link wins, the other's file is dropped. */
function create(path: string, nowMs: number): void {
  if (existsSync(`${path}-wal`)) throw corrupt(path, 'its -wal file is there, but the file itself is missing');
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (cause) {
    throw unopenable(path, cause);
  }
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    // Not WAL yet: its shared-memory file is found by name, and this name goes away.
    const connection = new Connection(temporary, 'delete');
    migrate(connection, nowMs);
    connection.close();
    try {
      linkSync(temporary, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const directory = openSync(dirname(path), 'r');
    fsyncSync(directory); // the name itself must survive a power cut
    closeSync(directory);
  } finally {
    rmSync(temporary, { force: true });
    rmSync(`${temporary}-journal`, { force: true });
  }
}
