/**
 * @file The lease table in Postgres, for workers on many machines.
 *
 * Only the server's clock is read, so the clocks of the machines do not matter. Workers that look for work at the same
 * time skip the rows that others are taking (`FOR UPDATE SKIP LOCKED`). After a restart of the server every lease begins
 * anew: while it was away nobody could send a heartbeat.
 */

import { QuasarError } from '@quasar/base';
import type { Client, Pool, PoolClient, QueryResult, QueryResultRow } from 'pg';
import { type JobError, type JobOutcome, MAX_LOST_LEASES, ORPHAN_BLOB_HOURS } from '../job-queue.ts';
import { type ClaimedJob, type Lease, type LeaseTable, type NewRow, POISON } from '../lease-table.ts';
import { type ClaimedRow, type OutcomeRow, toClaimed, toOutcomes } from '../rows.ts';
import { translate } from './errors.ts';
import { Listener } from './listener.ts';
import { LOCKS, migrate } from './schema.ts';
import { type PostgresAddress, parseAddress } from './url.ts';

/** Connections of one process, besides the one that listens: a few statements of milliseconds at a time. */
const MAX_CONNECTIONS = 4;
const CONNECT_TIMEOUT_MS = 10_000;
const QUERY_TIMEOUT_MS = 60_000;
/** 64 MiB over a slow line. */
const BLOB_TIMEOUT_MS = 600_000;
/** Of payloads in one statement. */
const ADD_BATCH_BYTES = 8 << 20;

const IS_OPEN = `state IN ('running', 'queued')`;

type Query = (sql: string, values?: unknown[], timeoutMs?: number) => Promise<QueryResult>;

export class PostgresTable implements LeaseTable {
  readonly #pool: Pool;
  readonly #listener: Listener;
  readonly #shown: string;
  readonly #schema: string;
  readonly #channel: string;
  #closed = false;

  /** @throws QuasarError `queue.bad_url` | `queue.unreachable` | `queue.login` | `queue.privilege` | `store.newer_schema` */
  static async open(url: string): Promise<PostgresTable> {
    const address = parseAddress(url);
    const { default: pg } = await import('pg'); // only who uses Postgres pays for loading its client
    const settings = {
      connectionString: address.connectionString,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      application_name: 'quasar',
    };
    const pool = new pg.Pool({ ...settings, max: MAX_CONNECTIONS });
    pool.on('error', () => {}); // an idle connection broke: the pool makes another when it needs one
    const table = new PostgresTable(address, pool, () => new pg.Client(settings));
    try {
      await table.#withClient((client) => migrate(client, address));
    } catch (error) {
      await table.close();
      throw error;
    }
    return table;
  }

  private constructor(address: PostgresAddress, pool: Pool, newClient: () => Client) {
    this.#shown = address.shown;
    this.#schema = address.schema;
    this.#channel = `quasar_queue_${address.schema}`;
    this.#pool = pool;
    this.#listener = new Listener(newClient, this.#channel);
  }

  async add(rows: readonly NewRow[]): Promise<void> {
    for (const batch of batches(rows)) {
      await this.#query(
        `WITH added AS (
           INSERT INTO S.jobs (kind, key, payload)
           SELECT kind, key, payload FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS new (kind, key, payload, place)
           ORDER BY place ON CONFLICT (kind, key) DO NOTHING RETURNING 1)
         SELECT pg_notify($4, 'work') WHERE EXISTS (SELECT 1 FROM added)`,
        [
          batch.map(({ kind }) => kind),
          batch.map(({ key }) => key),
          batch.map(({ payload }) => payload),
          this.#channel,
        ],
      );
    }
  }

  async outcomes(kind: string, keys: readonly string[]): Promise<Map<string, JobOutcome>> {
    const { rows } = await this.#query<OutcomeRow>(
      'SELECT key, state, attempt, result, error FROM S.jobs WHERE kind = $1 AND key = ANY($2::text[])',
      [kind, keys],
    );
    return toOutcomes(rows);
  }

  async claim(kinds: readonly string[], leaseMs: number, limit: number): Promise<ClaimedJob[]> {
    const { rows } = await this.#query<ClaimedRow>(
      `WITH next AS MATERIALIZED (
         SELECT id FROM S.jobs WHERE state = 'queued' AND kind = ANY($1::text[])
         ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
       UPDATE S.jobs SET state = 'running', attempt = attempt + 1, token = gen_random_uuid(), lease_ms = $3::integer,
         leased_until = now() + $3::integer * interval '1 millisecond'
       FROM next WHERE jobs.id = next.id
       RETURNING jobs.id::float8 AS id, token, kind, key, payload, attempt`,
      [kinds, limit, leaseMs],
    );
    return toClaimed(rows);
  }

  heartbeat(leases: () => readonly Lease[], leaseMs: number): Promise<string[]> {
    return this.#withClient(async (client) => {
      const own = leases();
      const { rows } = await client.query<{ token: string | null }>(
        this.#statement(
          `WITH kept AS (
             UPDATE S.jobs SET state = 'running', lost = lost - (state = 'queued')::integer, lease_ms = $3::integer,
               leased_until = now() + $3::integer * interval '1 millisecond'
             FROM unnest($1::bigint[], $2::uuid[]) AS own (id, token)
             WHERE jobs.id = own.id AND jobs.token = own.token AND ${IS_OPEN} RETURNING jobs.token),
           silent AS MATERIALIZED (
             SELECT id FROM S.jobs WHERE state = 'running' AND id <> ALL ($1::bigint[]) AND now() >
               greatest(leased_until, pg_postmaster_start_time() + lease_ms * interval '1 millisecond')
             FOR UPDATE SKIP LOCKED),
           back AS (
             UPDATE S.jobs SET lost = lost + 1, state = CASE WHEN lost + 1 < $4::integer THEN 'queued' ELSE 'failed' END,
               error = CASE WHEN lost + 1 < $4::integer THEN error ELSE $5 END
             FROM silent WHERE jobs.id = silent.id RETURNING pg_notify($6, 'work'))
           SELECT token::text FROM kept UNION ALL SELECT NULL FROM back`,
          [
            own.map(({ id }) => id),
            own.map(({ token }) => token),
            leaseMs,
            MAX_LOST_LEASES,
            JSON.stringify(POISON),
            this.#channel,
          ],
        ),
      );
      const kept = new Set(rows.map(({ token }) => token));
      return own.flatMap(({ token }) => (kept.has(token) ? [] : [token]));
    });
  }

  complete(lease: Lease, result: string): Promise<boolean> {
    return this.#settle(`state = 'done', result = $3, error = NULL`, result, lease);
  }

  fail(lease: Lease, error: JobError): Promise<boolean> {
    return this.#settle(`state = 'failed', error = $3`, JSON.stringify(error), lease);
  }

  giveBack(lease: Lease, error: JobError | null): Promise<boolean> {
    return this.#settle(`state = 'queued', error = coalesce($3, error)`, error && JSON.stringify(error), lease);
  }

  async forget(prefix: string): Promise<void> {
    await this.#transaction(async (query) => {
      await query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [LOCKS.blobs, this.#schema]);
      await query('DELETE FROM S.jobs WHERE starts_with(key, $1)', [prefix]);
      await query('DELETE FROM S.blob_tags WHERE starts_with(tag, $1)', [prefix]);
      await query(
        `DELETE FROM S.blob_tags WHERE put_at < now() - interval '${ORPHAN_BLOB_HOURS} hours'
         AND NOT EXISTS (SELECT 1 FROM S.jobs WHERE starts_with(key, tag))`,
      );
      await query(
        'DELETE FROM S.blobs WHERE NOT EXISTS (SELECT 1 FROM S.blob_tags WHERE blob_tags.sha256 = blobs.sha256)',
      );
      await query(`SELECT pg_notify($1, 'result')`, [this.#channel]);
    });
  }

  async putBlob(sha256: string, bytes: Uint8Array, tag: string): Promise<void> {
    await this.#transaction(async (query) => {
      await query('SELECT pg_advisory_xact_lock_shared($1, hashtext($2))', [LOCKS.blobs, this.#schema]);
      const { rowCount } = await query('SELECT 1 FROM S.blobs WHERE sha256 = $1', [sha256]);
      if (rowCount === 0) {
        const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        await query('INSERT INTO S.blobs VALUES ($1, $2) ON CONFLICT DO NOTHING', [sha256, view], BLOB_TIMEOUT_MS);
      }
      await query('INSERT INTO S.blob_tags (tag, sha256) VALUES ($1, $2) ON CONFLICT DO NOTHING', [tag, sha256]);
    });
  }

  async getBlob(sha256: string): Promise<Uint8Array | null> {
    const sql = 'SELECT bytes FROM S.blobs WHERE sha256 = $1';
    const { rows } = await this.#query<{ bytes: Buffer }>(sql, [sha256], BLOB_TIMEOUT_MS);
    const bytes = rows[0]?.bytes;
    return bytes === undefined ? null : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  changed(what: 'work' | 'any', timeoutMs: number, signal: AbortSignal): Promise<void> {
    return this.#listener.next(what, timeoutMs, signal);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#listener.close();
    await this.#pool.end();
  }

  async #settle(set: string, value: string | null, { id, token }: Lease): Promise<boolean> {
    const { rowCount } = await this.#query(
      `WITH settled AS (UPDATE S.jobs SET ${set}, token = NULL WHERE id = $1 AND token = $2 AND ${IS_OPEN} RETURNING state)
       SELECT pg_notify($4, CASE state WHEN 'queued' THEN 'work' ELSE 'result' END) FROM settled`,
      [id, token, value, this.#channel],
    );
    return rowCount === 1;
  }

  #query<Row extends QueryResultRow>(sql: string, values: unknown[], timeoutMs?: number): Promise<QueryResult<Row>> {
    return this.#withClient((client) => client.query<Row>(this.#statement(sql, values, timeoutMs)));
  }

  #transaction(body: (query: Query) => Promise<void>): Promise<void> {
    return this.#withClient(async (client) => {
      await client.query('BEGIN');
      await body((sql, values, timeoutMs) => client.query(this.#statement(sql, values, timeoutMs)));
      await client.query('COMMIT');
    });
  }

  #statement(sql: string, values: unknown[] = [], timeoutMs = QUERY_TIMEOUT_MS) {
    return { text: sql.replaceAll('S.', `${this.#schema}.`), values, query_timeout: timeoutMs };
  }

  /** After an error the connection is thrown away, and with it whatever it had begun. */
  async #withClient<T>(body: (client: PoolClient) => Promise<T>): Promise<T> {
    if (this.#closed) {
      throw new QuasarError('store.closed', `job queue ${this.#shown}: used after close()`, { hint: 'open it again' });
    }
    let client: PoolClient | undefined;
    const ignore = () => {}; // the query in hand fails too, and says it
    try {
      client = await this.#pool.connect();
      client.on('error', ignore);
      const value = await body(client);
      client.off('error', ignore);
      client.release();
      return value;
    } catch (error) {
      client?.release(true);
      throw translate(this.#shown, error);
    }
  }
}

/** Bounds what one statement carries; each batch is whole or not there, and adding is idempotent. */
function* batches(rows: readonly NewRow[]): Generator<NewRow[]> {
  let batch: NewRow[] = [];
  let sizeBytes = 0;
  for (const row of rows) {
    batch.push(row);
    sizeBytes += row.payload.length;
    if (sizeBytes < ADD_BATCH_BYTES) continue;
    yield batch;
    batch = [];
    sizeBytes = 0;
  }
  if (batch.length > 0) yield batch;
}
