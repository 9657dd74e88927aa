/** @file Waiting for the chain: it is the only clock of the contest. */
import { setTimeout as delay } from 'node:timers/promises';
import { QuasarError } from '@quasar/base';
import type { Head } from '@quasar/chain';
import type { Context } from './context.ts';

const MIN_POLL_MS = 5;
const MAX_POLL_MS = 30_000;

/** The head now. @throws QuasarError `validator.stopped`, `chain.unreachable` */
export async function look(context: Context): Promise<Head> {
  throwIfStopped(context.signal);
  const head = await context.options.chain.head();
  context.atBlock = head.number;
  return head;
}

/** Until the next block may be there: half a block time. */
export async function pause(context: Context): Promise<void> {
  const halfBlockMs = (await context.options.chain.blockTimeMs()) / 2;
  await sleep(Math.min(Math.max(halfBlockMs, MIN_POLL_MS), MAX_POLL_MS), context.signal);
}

/** @throws QuasarError `validator.stopped` when aborted */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => throwIfStopped(signal));
}

/** The value of `answer`. @throws QuasarError `validator.stopped` as soon as the validator is stopped */
export async function untilStopped<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(stopError());
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
  try {
    return await Promise.race([answer, stopped]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

export function throwIfStopped(signal: AbortSignal): void {
  if (signal.aborted) throw stopError();
}

function stopError(): QuasarError {
  return new QuasarError('validator.stopped', 'the validator was stopped', { retry: 'later' });
}
