/** @file Whether a job queue works: a job and a blob go through it once, are compared, and are thrown away. */
import { randomUUID } from 'node:crypto';
import { QuasarError } from '@quasar/base';
import type { JobQueue } from '@quasar/store';

export interface QueueReport {
  /** Without the password. */
  address: string;
  works: boolean;
  /** From adding the job to its stored result. */
  roundTripMs: number | null;
  error: { code: string; message: string; hint: string | undefined } | null;
}

const TIMEOUT_MS = 10_000;

/** @throws QuasarError `queue.bad_url`; what is wrong behind a good address is in the report */
export async function examineQueue(url: string): Promise<QueueReport> {
  const { openJobQueue, shownAddress } = await import('@quasar/store');
  const address = shownAddress(url);
  try {
    const queue = await openJobQueue(url);
    try {
      return { address, works: true, roundTripMs: await roundTrip(queue), error: null };
    } finally {
      await queue.close();
    }
  } catch (error) {
    if (!(error instanceof QuasarError)) throw error;
    const { code, message, hint } = error;
    return { address, works: false, roundTripMs: null, error: { code, message, hint } };
  }
}

async function roundTrip(queue: JobQueue): Promise<number> {
  const key = `doctor/${randomUUID()}`;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const stop = new AbortController();
  const startedAtMs = performance.now();
  try {
    // A kind of its own: real jobs that wait in this queue are not touched.
    await queue.add([{ kind: key, key, payload: key }]);
    await queue.work({
      kinds: [key],
      signal: AbortSignal.any([stop.signal, timeout]),
      handler: async ({ payload }) => {
        stop.abort();
        return queue.putBlob(Buffer.from(String(payload)), key);
      },
    });
    const outcome = (await queue.outcomes<string>(key, [key])).get(key);
    const roundTripMs = performance.now() - startedAtMs;
    const blob = outcome?.result == null ? null : await queue.getBlob(outcome.result);
    if (blob === null || Buffer.from(blob).toString() !== key) {
      throw new QuasarError('queue.no_round_trip', `a job did not come back within ${TIMEOUT_MS / 1000} s`, {
        hint: 'see the log of the database',
      });
    }
    return Math.round(roundTripMs);
  } finally {
    await queue.forget(key);
  }
}
