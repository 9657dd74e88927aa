/**
 * @file The schema, as numbered steps, and the one function that applies the missing ones.
 *
 * A step is never edited after a release; a change is a new step at the end. All missing steps run in one
 * transaction, so a reader sees the old schema or the new one.
 */
import { QuasarError } from '@quasar/base';
import type { Connection } from './connection.ts';

/** Step `i` brings a file from version `i` to version `i + 1`. */
const MIGRATIONS: readonly string[] = [
  // AUTOINCREMENT: a sequence number is never used twice, so "everything after n" stays true for ever.
  `CREATE TABLE events (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     type TEXT NOT NULL,
     key TEXT,
     at_ms INTEGER NOT NULL,
     data TEXT NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX events_by_key ON events (type, key) WHERE key IS NOT NULL;
   CREATE INDEX events_by_type ON events (type, seq);
   CREATE TABLE jobs (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     kind TEXT NOT NULL,
     key TEXT NOT NULL,
     payload TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'done', 'failed')),
     attempt INTEGER NOT NULL,
     available_at_ms INTEGER NOT NULL,
     lease_token TEXT,
     result TEXT,
     error TEXT,
     UNIQUE (kind, key)
   ) STRICT;
   CREATE INDEX jobs_open ON jobs (kind, available_at_ms) WHERE state IN ('queued', 'leased');`,
  // Leases without a clock. jobs.token stays when a lease ran out, until somebody else takes the job; jobs.beats is
  // raised by the holder; jobs.lost counts the workers that fell silent with it.
  `DROP TABLE jobs;
   CREATE TABLE jobs (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     kind TEXT NOT NULL,
     key TEXT NOT NULL,
     payload TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
     attempt INTEGER NOT NULL DEFAULT 0,
     lost INTEGER NOT NULL DEFAULT 0,
     token TEXT,
     beats INTEGER NOT NULL DEFAULT 0,
     lease_ms INTEGER NOT NULL DEFAULT 0,
     result TEXT,
     error TEXT,
     UNIQUE (kind, key)
   ) STRICT;
   CREATE INDEX jobs_queued ON jobs (id) WHERE state = 'queued';
   CREATE INDEX jobs_running ON jobs (id) WHERE state = 'running';
   CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
   CREATE TABLE blob_tags (
     tag TEXT NOT NULL,
     sha256 TEXT NOT NULL REFERENCES blobs,
     put_at_unix INTEGER NOT NULL,
     PRIMARY KEY (tag, sha256)
   ) STRICT, WITHOUT ROWID;`,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Brings the file to `SCHEMA_VERSION`.
 * @throws QuasarError `store.newer_schema` when a newer program wrote it, `store.foreign_file` when it is not ours
 */
export function migrate(connection: Connection, nowMs: number): void {
  const found = readVersion(connection);
  if (found === SCHEMA_VERSION) return;
  connection.transaction(() => {
    const version = readVersion(connection); // again, under the lock: another process may have migrated meanwhile
    if (version === 0) {
      connection.exec(
        'CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at_ms INTEGER NOT NULL) STRICT',
      );
    }
    for (let step = version; step < SCHEMA_VERSION; step++) {
      connection.exec(MIGRATIONS[step] as string);
      connection.all('INSERT INTO schema_version VALUES (?, ?)', [step + 1, nowMs]);
    }
  });
}

function readVersion(connection: Connection): number {
  const tables = connection.all<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'");
  if (tables.length === 0) return 0;
  if (!tables.some((table) => table.name === 'schema_version')) {
    throw new QuasarError('store.foreign_file', `store ${connection.path}: an SQLite file of another program`, {
      hint: 'give the path of a Quasar store, or of a file that does not exist yet',
    });
  }
  const version = connection.all<{ version: number }>('SELECT max(version) AS version FROM schema_version')[0]?.version;
  if (version !== undefined && version > SCHEMA_VERSION) {
    throw new QuasarError(
      'store.newer_schema',
      `store ${connection.path}: schema version ${version}, this program knows up to ${SCHEMA_VERSION}`,
      { hint: 'run the newer Quasar that wrote this file; there is no way back to an older schema' },
    );
  }
  return version ?? 0;
}
