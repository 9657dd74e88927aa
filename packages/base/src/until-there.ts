/** @file Waiting for somebody who is away: asked again after growing pauses, said once, ended by an abort. */
import { QuasarError } from './errors.ts';
import { sleep } from './sleep.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/** Before the next try, after so many failures besides this one: 0.5 s, 1 s, ... 30 s. */
export function pauseMs(failures: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
}

export interface WaitOptions {
  signal: AbortSignal;
  /** Which errors pass by themselves. Default: those with `retry: 'later'`. */
  isPassing?: ((error: QuasarError) => boolean) | undefined;
  /** Called at the first failure, and at a later one with another code. */
  onWait(error: QuasarError): void;
  /** Called at the first answer, when it was waited for. */
  onThere(waitedMs: number): void;
}

/**
 * The answer, asked for until there is one.
 * @throws whatever `ask` throws that does not pass; `signal.reason` at once after an abort, also while `ask` is silent
 */
export async function untilThere<T>(ask: () => Promise<T>, options: WaitOptions): Promise<T> {
  const { signal, isPassing = ({ retry }) => retry === 'later', onWait, onThere } = options;
  const sinceMs = performance.now();
  let said: string | null = null;
  for (let failures = 0; ; failures++) {
    try {
      signal.throwIfAborted();
      const answer = await orAborted(ask(), signal);
      if (failures > 0) onThere(performance.now() - sinceMs);
      return answer;
    } catch (error) {
      if (signal.aborted || !(error instanceof QuasarError && isPassing(error))) throw error;
      if (error.code !== said) onWait(error);
      said = error.code;
    }
    await sleep(pauseMs(failures), signal);
  }
}

async function orAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
