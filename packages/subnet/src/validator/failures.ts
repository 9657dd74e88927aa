/** @file What went wrong with a submission, and whether that ends it. */
import { QuasarError } from '@quasar/base';
import { UnitFailure } from '../evaluation/dispatch.ts';
import type { RoundState, SubmissionState } from '../projection.ts';
import { firstEligibleRound } from '../rules/round.ts';
import { nextVisit } from '../rules/stale.ts';
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

/** @param unread its files could not be read, and that was not the hub's doing as a whole */
export function recordFailure(
  context: Context,
  round: RoundState,
  submission: SubmissionState,
  error: unknown,
  unread = false,
): void {
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
      ...{ round: round.round, atBlock: context.atBlock, id, uid, attempt, transient, ...(unread ? { unread } : {}) },
      error: { code, message, hint },
      final: !transient && tries >= MAX_ATTEMPTS,
    },
    key: `${round.round}:${id}:${attempt}`,
  });
  context.log(`uid ${uid} ${submission.repo}: try ${attempt} failed: ${message}`, 'warn', code);
}

/** A round in which the files of a submission could not be read, the hub's own pauses and ours included. */
export function recordUnread(context: Context, round: RoundState, submission: SubmissionState, error: unknown): void {
  const isOfHub = error instanceof QuasarError && error.code.startsWith('hub.') && !OWN_DISK.has(error.code);
  const counts = isOfHub && context.hubAnsweredIn === round.round;
  recordFailure(context, round, submission, error, counts);
  const { stale } = context.config.candidates;
  const { id, uid, repo, revision, failedVisits, revealedAtBlock, issues } = submission;
  if (!counts || failedVisits < stale.failedVisits) return;
  const firstRound = firstEligibleRound(revealedAtBlock, context.config.round);
  const nextRound = nextVisit(failedVisits, round.round, firstRound, stale);
  const issue = {
    code: 'candidates.stale',
    message: `its files could not be read in ${failedVisits} rounds; asked for again in round ${nextRound}`,
    hint: 'See that the hub gives every file of the revision. A new commitment is asked for at once.',
  };
  context.append({
    type: 'submission.stale',
    data: {
      ...{ round: round.round, atBlock: context.atBlock, id, uid, repo, revision, failedVisits, nextRound },
      issues: [issue, ...issues],
    },
    key: `${round.round}:${id}`,
  });
  context.log(`uid ${uid} ${repo}: ${issue.message}`, 'warn', issue.code);
}

/** This machine's, not the hub's. */
const OWN_DISK = new Set(['hub.disk', 'hub.cache_full']);

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
