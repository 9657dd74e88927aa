/** @file A database that is away: how to tell, and how long to wait for it. */
import { QuasarError } from '@quasar/base';

/** Between two tries of a database that is away. */
export const RECONNECT_MS = 250;

/** Whether the same call can succeed later without a change by the caller. */
export function isAway(error: unknown): boolean {
  return error instanceof QuasarError && error.retry === 'later';
}
