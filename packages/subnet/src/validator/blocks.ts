/** @file Waiting for the chain: it is the only clock of the contest. */
import { setTimeout as delay } from 'node:timers/promises';
import { QuasarError } from '@quasar/base';
import type { Head } from '@quasar/chain';
import type { Context } from './context.ts';

const MAX_POLL_MS = 30_000;

/** Wait until the head is at least `block`. @throws QuasarError `validator.stopped`, `chain.unreachable` */
export async function waitForBlock(context: Context, block: number): Promise<Head> {
  const { chain } = context.options;
  const pollMs = Math.min(Math.max((await chain.blockTimeMs()) / 2, 5), MAX_POLL_MS);
  for (;;) {
    throwIfStopped(context.signal);
    const head = await chain.head();
    context.atBlock = head.number;
    if (head.number >= block) return head;
    await sleep(pollMs, context.signal);
  }
}

/** @throws QuasarError `validator.stopped` when aborted */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => throwIfStopped(signal));
}

export function throwIfStopped(signal: AbortSignal): void {
  if (signal.aborted) throw new QuasarError('validator.stopped', 'the validator was stopped', { retry: 'later' });
}
