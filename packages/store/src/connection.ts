/**
 * @file One SQLite connection: settings, statement cache, write transactions, and errors in our words.
 *
 * WAL with `synchronous=FULL`: a commit that returned survives a power cut; readers never wait for the writer.
 * Every statement is read to its end (`all`), so no cursor keeps an old snapshot alive and stops checkpoints.
 * Source: sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous. Left out: encryption, replication.
 */
import { QuasarError } from '@quasar/base';
import Database from 'libsql';

type Value = string | number | Uint8Array | null;

/** How long a writer waits for another process's transaction; ours take milliseconds, so this is a stuck machine. */
const BUSY_TIMEOUT_MS = 10_000;

export class Connection {
  readonly path: string;
  readonly #database: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();
  #closed = false;

  /** @throws QuasarError `store.unopenable` | `store.corrupt` | `store.busy` | `store.disk` */
  constructor(path: string, journal: 'wal' | 'delete') {
    this.path = path;
    try {
      this.#database = new Database(path);
    } catch (cause) {
      throw unopenable(path, cause);
    }
    this.exec(`PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}`);
    this.exec(`PRAGMA journal_mode=${journal}`);
    this.exec('PRAGMA synchronous=FULL');
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** All rows of a statement, `RETURNING` included. */
  all<Row>(sql: string, parameters: readonly Value[] = []): Row[] {
    return this.#guard(() => {
      let statement = this.#statements.get(sql);
      if (statement === undefined) {
        statement = this.#database.prepare(sql);
        this.#statements.set(sql, statement);
      }
      return statement.all([...parameters]) as Row[]; // a lone null parameter is only accepted inside an array
    });
  }

  /** A script without parameters. */
  exec(sql: string): void {
    this.#guard(() => this.#database.exec(sql));
  }

  /** Runs `body` as one write transaction, taking the write lock at the start so that it can never fail half way. */
  transaction<T>(body: () => T): T {
    this.exec('BEGIN IMMEDIATE');
    try {
      const value = body();
      this.exec('COMMIT');
      return value;
    } catch (error) {
      if (this.#database.inTransaction) this.exec('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#statements.clear();
    this.#database.close();
  }

  #guard<T>(body: () => T): T {
    if (this.#closed) {
      throw new QuasarError('store.closed', `store ${this.path}: used after close()`, { hint: 'open it again' });
    }
    try {
      return body();
    } catch (error) {
      throw translate(this.path, error);
    }
  }
}

/** The error for a file whose content cannot be trusted; never answered by starting over with an empty file. */
export function corrupt(path: string, found: string, cause?: unknown): QuasarError {
  return new QuasarError('store.corrupt', `store ${path}: the file is damaged: ${found}`, {
    hint: `stop all processes, keep ${path} and its -wal file, restore a backup or run: sqlite3 ${path} .recover`,
    cause,
  });
}

export function unopenable(path: string, cause: unknown): QuasarError {
  return new QuasarError('store.unopenable', `store ${path}: cannot open or make the file: ${text(cause)}`, {
    hint: 'check that the directory exists and that this user may write in it',
    cause,
  });
}

function translate(path: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) return corrupt(path, text(error), error);
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return new QuasarError('store.busy', `store ${path}: another process held the write lock for too long`, {
      hint: 'look for a stopped or hanging process that has the file open',
      retry: 'later',
      cause: error,
    });
  }
  if (/^SQLITE_(FULL|IOERR|READONLY|CANTOPEN|PERM)/.test(code)) {
    return new QuasarError('store.disk', `store ${path}: cannot read or write the file: ${text(error)}`, {
      hint: 'check free disk space, permissions and the health of the disk; nothing half-written was kept',
      retry: 'later',
      cause: error,
    });
  }
  return error;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
