/** @file Floor 1: what must survive a restart: the event log in an SQLite file, and the job queue in SQLite or Postgres. */
export type { EventQuery, NewEvent, StoredEvent } from './event-log.ts';
export {
  type JobError,
  type JobOutcome,
  type JobQueue,
  type LeasedJob,
  MAX_BLOB_BYTES,
  MAX_JSON_BYTES,
  type NewJob,
  type WorkOptions,
} from './queue/job-queue.ts';
export { openJobQueue, shownAddress } from './queue/open.ts';
export { openStore, type Store, type StoreOptions } from './store.ts';
