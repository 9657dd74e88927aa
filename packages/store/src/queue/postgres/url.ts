/**
 * @file Addresses of the Postgres queue: `postgres://user:password@host:5432/database?schema=NAME`, and the same address
 * as it may be shown: without the password.
 *
 * Whatever else Postgres clients understand in an address (`sslmode`, `host` for a socket) is passed on, and what the
 * address leaves out comes from the usual variables (`PGUSER`, `PGPASSWORD`, `PGSSLMODE`, ...).
 */
import { QuasarError } from '@quasar/base';

export interface PostgresAddress {
  /** For the client; contains the password. */
  connectionString: string;
  /** The tables' home. Queues of different schemas in one database know nothing of each other. */
  schema: string;
  /** For messages. */
  shown: string;
}

const DEFAULT_SCHEMA = 'quasar';
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,39}$/;

/** @throws QuasarError `queue.bad_url`, without the address in it: it may hold a password */
export function parseAddress(url: string): PostgresAddress {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw bad('the postgres:// address cannot be read');
  }
  const schema = parsed.searchParams.get('schema') ?? DEFAULT_SCHEMA;
  if (!SCHEMA_NAME.test(schema) || schema.startsWith('pg_')) {
    throw bad(`schema ${JSON.stringify(schema.slice(0, 60))}, expected small letters, digits and _, at most 40`);
  }
  parsed.searchParams.delete('schema');
  const user = parsed.username === '' ? '' : `${parsed.username}@`;
  const host = parsed.searchParams.get('host') ?? parsed.host;
  return {
    connectionString: parsed.href,
    schema,
    shown: `postgres://${user}${host}${parsed.pathname}?schema=${schema}`,
  };
}

function bad(what: string): QuasarError {
  return new QuasarError('queue.bad_url', `job queue: ${what}`, {
    hint: 'give postgres://USER:PASSWORD@HOST/DATABASE?schema=NAME, special characters of the password as %XX',
  });
}
