/** @file Opening a job queue by its address. */
import { fileURLToPath } from 'node:url';
import { QuasarError } from '@quasar/base';
import type { JobQueue } from './job-queue.ts';
import { SqliteTable } from './sqlite.ts';
import { TableQueue } from './table-queue.ts';

/**
 * @param url The path (or `file:` URL) of an SQLite file, made when absent. It may be the file of an event log, but one
 *   of its own keeps the log small.
 * @throws QuasarError `queue.bad_url`, and what opening a store throws
 */
export async function openJobQueue(url: string): Promise<JobQueue> {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'file') {
    throw new QuasarError('queue.bad_url', `job queue: no driver for ${scheme}: addresses`, {
      hint: 'give the path of an SQLite file',
    });
  }
  return new TableQueue(new SqliteTable(scheme === 'file' ? fileURLToPath(url) : url));
}
