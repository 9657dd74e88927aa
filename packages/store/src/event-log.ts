/**
 * @file The event log: an append-only list in one total order, readable and followable by several processes.
 *
 * Writers take SQLite's write lock, so sequence numbers appear in the order of commits: a reader that has seen
 * `n` never meets a smaller number later, and "everything after n" misses nothing.
 * Left out: deleting and compacting; a contest's log is its evidence.
 */
import type { Connection } from './connection.ts';
import { toJsonText } from './json-text.ts';

export interface StoredEvent<T = unknown> {
  /** 1, 2, 3, ...: position in the log. */
  seq: number;
  type: string;
  key: string | null;
  atMs: number;
  data: T;
}

export interface NewEvent<T = unknown> {
  type: string;
  data: T;
  /** Idempotency key: the second event of the same type and key is not written. */
  key?: string | undefined;
}

export interface EventQuery {
  afterSeq?: number | undefined;
  types?: readonly string[] | undefined;
  limit?: number | undefined;
}

interface Row {
  seq: number;
  type: string;
  key: string | null;
  at_ms: number;
  data: string;
}

/** Rows per read while following: bounds memory when a reader starts at the beginning of a long log. */
const FOLLOW_BATCH = 500;

export class EventLog {
  readonly #connection: Connection;
  readonly #clock: () => number;
  readonly #wakers = new Set<() => void>();

  constructor(connection: Connection, clock: () => number) {
    this.#connection = connection;
    this.#clock = clock;
  }

  append<T>(
    type: string,
    data: T,
    options: { key?: string | undefined } = {},
  ): { event: StoredEvent<T>; duplicate: boolean } {
    const [outcome] = this.#write([{ type, data, key: options.key }]);
    return outcome as { event: StoredEvent<T>; duplicate: boolean };
  }

  appendAll(events: readonly NewEvent[]): StoredEvent[] {
    return this.#write(events).map((outcome) => outcome.event);
  }

  events(query: EventQuery = {}): StoredEvent[] {
    const { afterSeq = 0, types, limit } = query;
    const ofTypes = types === undefined ? '' : `AND type IN (${types.map(() => '?').join(', ')})`;
    return this.#connection
      .all<Row>(`SELECT * FROM events WHERE seq > ? ${ofTypes} ORDER BY seq LIMIT ?`, [
        afterSeq,
        ...(types ?? []),
        limit ?? -1,
      ])
      .map(fromRow);
  }

  lastSeq(): number {
    return this.#connection.all<{ seq: number | null }>('SELECT max(seq) AS seq FROM events')[0]?.seq ?? 0;
  }

  /** Ends (does not throw) when `signal` aborts or the store is closed. Own appends wake it at once, others' by polling. */
  async *follow(options: {
    afterSeq: number;
    signal: AbortSignal;
    pollMs?: number | undefined;
  }): AsyncGenerator<StoredEvent> {
    const { signal, pollMs = 100 } = options;
    let afterSeq = options.afterSeq;
    while (!signal.aborted && !this.#connection.closed) {
      const batch = this.events({ afterSeq, limit: FOLLOW_BATCH });
      for (const event of batch) {
        if (signal.aborted) return;
        afterSeq = event.seq;
        yield event;
      }
      if (batch.length < FOLLOW_BATCH) await this.#nextWrite(afterSeq, signal, pollMs);
    }
  }

  /** Wakes every follower of this process: after a write, and at close. */
  wake(): void {
    for (const waker of [...this.#wakers]) waker();
  }

  #write(events: readonly NewEvent[]): { event: StoredEvent; duplicate: boolean }[] {
    const rows = events.map(({ type, data, key }) => ({
      type,
      key: key ?? null,
      data: toJsonText(data, `event ${type}`),
    }));
    const atMs = this.#clock();
    const outcomes = this.#connection.transaction(() =>
      rows.map(({ type, key, data }) => {
        // Looked up first: an insert that meets a conflict would use up a sequence number.
        const first = key === null ? undefined : this.#byKey(type, key);
        if (first !== undefined) return { event: fromRow(first), duplicate: true };
        const sql = 'INSERT INTO events (type, key, at_ms, data) VALUES (?, ?, ?, ?) RETURNING *';
        const [written] = this.#connection.all<Row>(sql, [type, key, atMs, data]);
        return { event: fromRow(written as Row), duplicate: false };
      }),
    );
    this.wake();
    return outcomes;
  }

  #byKey(type: string, key: string): Row | undefined {
    return this.#connection.all<Row>('SELECT * FROM events WHERE type = ? AND key = ?', [type, key])[0];
  }

  /** Resolves on a write of this process, after `pollMs`, on abort or on close; at once if there is something already. */
  #nextWrite(afterSeq: number, signal: AbortSignal, pollMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wakers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, pollMs);
      signal.addEventListener('abort', done, { once: true });
      this.#wakers.add(done);
      if (signal.aborted || this.#connection.closed || this.lastSeq() > afterSeq) done();
    });
  }
}

function fromRow(row: Row): StoredEvent {
  return { seq: row.seq, type: row.type, key: row.key, atMs: row.at_ms, data: JSON.parse(row.data) };
}
