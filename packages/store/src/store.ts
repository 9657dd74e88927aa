/** @file Opening a store: one SQLite file with an event log, shared by the processes of one machine. */
import { EventLog, type EventQuery, type NewEvent, type StoredEvent } from './event-log.ts';
import { openFile } from './open-file.ts';

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
  const connection = openFile(path, clock(), { check: true });
  const log = new EventLog(connection, clock);
  return {
    append: (type, data, appendOptions) => log.append(type, data, appendOptions),
    appendAll: (events) => log.appendAll(events),
    events: (query) => log.events(query),
    lastSeq: () => log.lastSeq(),
    follow: (followOptions) => log.follow(followOptions),
    close: () => {
      connection.close();
      log.wake();
    },
  };
}
