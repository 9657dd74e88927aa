/**
 * @file The tables of the queue in Postgres, as numbered steps, and the one function that applies the missing ones.
 *
 * A step is never edited after a release; a change is a new step at the end. All missing steps run in one transaction
 * under a lock, so of several that start at once one migrates and the others find it done. When nothing is missing,
 * nothing is written: a user without CREATE can open the queue.
 */
import { QuasarError } from '@quasar/base';
import type { ClientBase } from 'pg';
import type { PostgresAddress } from './url.ts';

/** Step `i` brings a schema from version `i` to version `i + 1`; `S` stands for its name. */
const MIGRATIONS: readonly string[] = [
  // No index on leased_until: a heartbeat that changes no index is cheap and leaves no bloat.
  `CREATE TABLE S.jobs (
     id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     kind text NOT NULL,
     key text NOT NULL,
     payload text NOT NULL,
     state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
     attempt integer NOT NULL DEFAULT 0,
     lost integer NOT NULL DEFAULT 0,
     token uuid,
     leased_until timestamptz,
     lease_ms integer,
     result text,
     error text,
     UNIQUE (kind, key)
   );
   CREATE INDEX jobs_queued ON S.jobs (id) WHERE state = 'queued';
   CREATE INDEX jobs_running ON S.jobs (id) WHERE state = 'running';
   CREATE TABLE S.blobs (sha256 text PRIMARY KEY, bytes bytea NOT NULL);
   ALTER TABLE S.blobs ALTER bytes SET STORAGE EXTERNAL;
   CREATE TABLE S.blob_tags (
     tag text NOT NULL,
     sha256 text NOT NULL REFERENCES S.blobs,
     put_at timestamptz NOT NULL DEFAULT now(),
     PRIMARY KEY (tag, sha256)
   );
   CREATE INDEX blob_tags_by_hash ON S.blob_tags (sha256);`,
];

/** Of the locks that keep migrations apart, and `forget` from `putBlob`; with the hash of the schema's name. */
export const LOCKS = { migrate: 0x51a1, blobs: 0x51a2 };

/** @throws QuasarError `store.newer_schema`; errors of Postgres */
export async function migrate(client: ClientBase, { schema, shown }: PostgresAddress): Promise<void> {
  if ((await readVersion(client, schema, shown)) === MIGRATIONS.length) return;
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [LOCKS.migrate, schema]);
    const version = await readVersion(client, schema, shown); // again, under the lock
    if (version === 0) {
      // Asked first: CREATE SCHEMA IF NOT EXISTS needs the privilege even when it has nothing to do.
      const { rowCount } = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema]);
      if (rowCount === 0) await client.query(`CREATE SCHEMA ${schema}`);
      await client.query(
        `CREATE TABLE ${schema}.schema_version (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
      );
    }
    for (let step = version; step < MIGRATIONS.length; step++) {
      await client.query((MIGRATIONS[step] as string).replaceAll('S.', `${schema}.`));
      await client.query(`INSERT INTO ${schema}.schema_version (version) VALUES ($1)`, [step + 1]);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {}); // the first error counts
    throw error;
  }
}

async function readVersion(client: ClientBase, schema: string, shown: string): Promise<number> {
  const known = await client.query(
    `SELECT 1 FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = $1 AND relname = 'schema_version'`,
    [schema],
  );
  if (known.rowCount === 0) return 0;
  const { rows } = await client.query<{ version: number | null }>(
    `SELECT max(version) AS version FROM ${schema}.schema_version`,
  );
  const version = rows[0]?.version ?? 0;
  if (version > MIGRATIONS.length) {
    throw new QuasarError(
      'store.newer_schema',
      `job queue ${shown}: schema version ${version}, this program knows up to ${MIGRATIONS.length}`,
      { hint: 'run the newer Quasar that made these tables; there is no way back to an older schema' },
    );
  }
  return version;
}
