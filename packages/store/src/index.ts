/** @file Floor 1: what must survive a restart: the event log and the job queue, in one SQLite file. */
export type { EventQuery, NewEvent, StoredEvent } from './event-log.ts';
export type { Job, JobError, JobOutcome, JobQueue } from './job-queue.ts';
export { openStore, type Store, type StoreOptions } from './store.ts';
