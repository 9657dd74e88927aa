/**
 * @file Asking again: what a hub does not answer now, it mostly answers seconds later (a restart, a moment of 429, a cut line).
 *
 * Only `hub.unreachable` is asked again: 408, 429, 5xx, no answer in time, no connection, a name that does not resolve. After the
 * last try the error goes out as it is, with `retry: 'later'`: the caller comes back in minutes, and nobody is disqualified.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { QuasarError } from '@quasar/base';
import { cancelled } from './failures.ts';
import type { HubLimits } from './limits.ts';

/** Time, which tests give. */
export interface Clock {
  nowMs(): number;
  /** Rejects when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  nowMs: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }),
};

export interface RetryOptions {
  /** For messages. */
  what: string;
  clock: Clock;
  limits: Pick<HubLimits, 'retryDelaysMs' | 'maxRetryAfterMs' | 'lastRetryMs'>;
  signal?: AbortSignal | undefined;
}

/** The pauses of one call. */
export class Retries {
  readonly #options: RetryOptions;
  readonly #startedMs: number;
  #failures = 0;

  constructor(options: RetryOptions) {
    this.#options = options;
    this.#startedMs = options.clock.nowMs();
  }

  /** What failed moved on before: its tries are counted anew. */
  movedOn(): void {
    this.#failures = 0;
  }

  /**
   * Waits until the next try.
   * @throws `error` itself when there is none: it is no transient one, the tries are used up or would come too late, or the hub
   *   wants a longer pause than we make; `hub.cancelled` after an abort
   */
  async pauseAfter(error: unknown): Promise<void> {
    const { what, clock, limits, signal } = this.#options;
    if (signal?.aborted) throw cancelled(what, signal);
    const delayMs = limits.retryDelaysMs[this.#failures++];
    if (!isTransient(error) || delayMs === undefined) throw error;
    const wantedMs = (error.data as { retryAfterMs?: number } | undefined)?.retryAfterMs ?? 0;
    const waitMs = Math.max(delayMs, wantedMs);
    const sinceMs = clock.nowMs() - this.#startedMs;
    if (wantedMs > limits.maxRetryAfterMs || sinceMs + waitMs > limits.lastRetryMs) throw error;
    await clock.sleep(waitMs, signal).catch(() => {
      throw cancelled(what, signal);
    });
  }
}

/** `step`, again after each pause. @throws what `Retries.pauseAfter` throws */
export async function retried<T>(options: RetryOptions, step: () => Promise<T>): Promise<T> {
  const retries = new Retries(options);
  for (;;) {
    try {
      return await step();
    } catch (error) {
      await retries.pauseAfter(error);
    }
  }
}

function isTransient(error: unknown): error is QuasarError {
  return error instanceof QuasarError && error.code === 'hub.unreachable';
}
