/** @file Opening a job queue by its address. */
import { fileURLToPath } from 'node:url';
import { QuasarError } from '@quasar/base';
import type { JobQueue } from './job-queue.ts';
import type { LeaseTable } from './lease-table.ts';
import { PostgresTable } from './postgres/table.ts';
import { parseAddress } from './postgres/url.ts';
import { SqliteTable } from './sqlite.ts';
import { TableQueue } from './table-queue.ts';

/**
 * @param url For the processes of one machine the path (or `file:` URL) of an SQLite file, made when absent. It may be
 *   the file of an event log, but one of its own keeps the log small. For many machines
 *   `postgres://USER:PASSWORD@HOST/DATABASE?schema=NAME`; the tables are made when absent. One schema (default `quasar`)
 *   is one queue.
 * @throws QuasarError `queue.bad_url`; for SQLite what opening a store throws; for Postgres `queue.unreachable`,
 *   `queue.login`, `queue.privilege`, `store.newer_schema`
 */
export async function openJobQueue(url: string): Promise<JobQueue> {
  return new TableQueue(await openTable(url));
}

/** The address of a queue as it may be logged: without a password. @throws QuasarError `queue.bad_url` */
export function shownAddress(url: string): string {
  return driverOf(url) === 'postgres' ? parseAddress(url).shown : url;
}

async function openTable(url: string): Promise<LeaseTable> {
  if (driverOf(url) === 'postgres') return PostgresTable.open(url);
  return new SqliteTable(url.startsWith('file:') ? fileURLToPath(url) : url);
}

function driverOf(url: string): 'sqlite' | 'postgres' {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === 'file') return 'sqlite';
  if (scheme === 'postgres' || scheme === 'postgresql') return 'postgres';
  throw new QuasarError('queue.bad_url', `job queue: got an address of ${scheme}:, which has no driver`, {
    hint: 'give the path of an SQLite file or postgres://USER:PASSWORD@HOST/DATABASE?schema=NAME',
  });
}
