/** @file The SQLite driver keeps the contract of the job queue. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeQueueContract } from './testing/queue-contract.ts';

describeQueueContract('SQLite', async () => join(mkdtempSync(join(tmpdir(), 'quasar-queue-')), 'queue.sqlite'));
