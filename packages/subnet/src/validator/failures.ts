/** @file What went wrong with a submission, and whether that ends it. */
import { QuasarError } from '@quasar/base';
import { UnitFailure } from '../evaluation/dispatch.ts';
import type { RoundState, SubmissionState } from '../projection.ts';
import { throwIfStopped } from './blocks.ts';
import type { Context } from './context.ts';
import { isWeather } from './weather.ts';

const MAX_ATTEMPTS = 2;

/**
 * Run a step of a submission; a second failure that is not the world's fault ends the submission.
 * @param onWeather takes a failure that is nobody's fault
 * @returns null when there is no result in this round
 */
export async function guarded<T>(
  context: Context,
  round: RoundState,
  submission: SubmissionState,
  step: () => Promise<T>,
  onWeather: (error: unknown) => void,
): Promise<T | null> {
  for (;;) {
    try {
      return await step();
    } catch (error) {
      throwIfStopped(context.signal);
      if (isOfTheRound(error)) throw error;
      if (isWeather(error)) {
        onWeather(error);
        return null;
      }
      recordFailure(context, round, submission, error);
      if (isSpent(round, submission.id)) return null;
    }
  }
}

export function recordFailure(context: Context, round: RoundState, submission: SubmissionState, error: unknown): void {
  const { id, uid } = submission;
  const earlier = round.failed.get(id) ?? [];
  const attempt = earlier.length + 1;
  const transient = isWeather(error);
  const code = error instanceof QuasarError ? error.code : 'evaluation.unexpected';
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof QuasarError ? error.hint : undefined;
  // The evaluator has tried a unit twice before it says so.
  const tries = earlier.filter((one) => !one.transient).length + (error instanceof UnitFailure ? MAX_ATTEMPTS : 1);
  context.append({
    type: 'evaluation.failed',
    data: {
      ...{ round: round.round, atBlock: context.atBlock, id, uid, attempt, transient },
      error: { code, message, hint },
      final: !transient && tries >= MAX_ATTEMPTS,
    },
    key: `${round.round}:${id}:${attempt}`,
  });
  context.log(`uid ${uid} ${submission.repo}: try ${attempt} failed: ${message}`, 'warn', code);
}

/** Not again in this round: the weather lasted too long for it, or it failed for good. */
export function isSpent(round: RoundState, id: string): boolean {
  const failed = round.failed.get(id) ?? [];
  return failed.some(({ transient, final }) => transient || final) || failed.length >= MAX_ATTEMPTS;
}

/** A model that every duel of the round needs: without it there is no verdict. */
export async function orVoid<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (isOfTheRound(cause)) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new QuasarError('validator.no_verdict', `${what} could not be measured: ${message}`, { cause });
  }
}

/** Says something about the validator or the whole round, and passes through. Without its log a validator can do nothing. */
function isOfTheRound(error: unknown): boolean {
  if (!(error instanceof QuasarError) || error instanceof UnitFailure) return false;
  return error.code.startsWith('store.') || error.code.startsWith('validator.');
}
