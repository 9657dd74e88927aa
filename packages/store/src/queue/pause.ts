/** @file Waiting: for a time, and for a database that is away. */
import { QuasarError } from '@quasar/base';

/** Between two tries of a database that is away. */
export const RECONNECT_MS = 250;

/** Whether the same call can succeed later without a change by the caller. */
export function isAway(error: unknown): boolean {
  return error instanceof QuasarError && error.retry === 'later';
}

/** Resolves after `ms`, or as soon as `signal` aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (ms <= 0 || signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}
