/**
 * @file Measuring every model of a round on the same tokens: teacher, base, king, then the challengers.
 *
 * Each finished part is an event of its own; what the log already holds is not measured again. A challenger that fails
 * twice is EVAL_ERROR with the reason; a failure of anything else voids the round and leaves the king alone.
 */
import { QuasarError } from '@quasar/base';
import type { RoundState, SubmissionState } from '../projection.ts';
import { BASE_ID, type Submission, TEACHER_ID, TEACHER_UID } from '../rules/submission.ts';
import { throwIfStopped } from './blocks.ts';
import { checkSubmission } from './check-submission.ts';
import type { Context } from './context.ts';
import { type Measuring, measureModel, measureTeacher } from './measure-model.ts';
import { report } from './progress.ts';
import { syncSubmissions } from './sync-submissions.ts';
import { roundTraces } from './traces.ts';

const MAX_ATTEMPTS = 2;
/** A process that died this often over one submission will die again. */
const MAX_INTERRUPTIONS = 4;

/**
 * @returns the challengers that were measured in full; empty when nobody was fit for a duel
 * @throws QuasarError `validator.no_verdict` when teacher, base or king could not be measured
 */
export async function measureRound(context: Context, round: RoundState): Promise<Submission[]> {
  const ready: { submission: SubmissionState; directory: string }[] = [];
  for (const id of round.candidates) {
    const submission = context.contest.submissions.get(id)!;
    if (submission.status !== 'pending' || isSpent(round, id)) continue;
    if (gaveUpAfterCrashes(context, submission, round)) continue;
    const directory = await guarded(context, round, submission, () =>
      checkSubmission(context, submission, round.round),
    );
    if (directory) ready.push({ submission, directory });
  }
  if (ready.length === 0) return [];

  const teacher = await orVoid(TEACHER_ID, () => context.loadEngine(context.options.teacherDirectory));
  try {
    const traces = await orVoid(TEACHER_ID, () =>
      roundTraces(context, round.seedHash, teacher, (done, total) =>
        report(context, round, { id: TEACHER_ID, uid: TEACHER_UID, repo: TEACHER_ID, phase: 'traces', done, total }),
      ),
    );
    const measuring = { context, round, teacher, traces };
    await orVoid(TEACHER_ID, () => measureTeacher(measuring));
    await orVoid(BASE_ID, () => measureModel(measuring, context.base, context.options.baseDirectory));
    const king = context.contest.submissions.get(round.incumbent);
    if (king) await orVoid(king.id, () => measureKing(measuring, king));

    const measured: Submission[] = [];
    for (const { submission, directory } of ready) {
      await syncSubmissions(context); // newcomers show up while a long round runs
      const done = await guarded(context, round, submission, async () => {
        await measureModel(measuring, submission, directory);
        return true;
      });
      if (done) measured.push(submission);
    }
    return measured;
  } finally {
    teacher.dispose();
  }
}

async function measureKing(measuring: Measuring, king: SubmissionState): Promise<void> {
  const { context } = measuring;
  const { hub } = context.options;
  const files = await hub.list(king.repo, king.revision);
  if (!files) throw new QuasarError('hub.not_found', `the king's revision ${king.repo} is gone`, { retry: 'later' });
  const { repo, revision } = king;
  const maxTotalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const directory = await hub.download(repo, revision, { files, maxTotalBytes, signal: context.signal });
  await measureModel(measuring, king, directory);
}

/** Run a challenger's step; a second failure that is not the world's fault ends the submission. */
async function guarded<T>(
  context: Context,
  round: RoundState,
  submission: SubmissionState,
  step: () => Promise<T>,
): Promise<T | null> {
  for (;;) {
    try {
      return await step();
    } catch (error) {
      throwIfStopped(context.signal);
      recordFailure(context, round, submission, error);
      if (isSpent(round, submission.id)) return null;
    }
  }
}

function recordFailure(context: Context, round: RoundState, submission: SubmissionState, error: unknown): void {
  const { id, uid } = submission;
  const attempt = (round.failed.get(id)?.length ?? 0) + 1;
  const isTransient = error instanceof QuasarError && error.retry === 'later';
  const code = error instanceof QuasarError ? error.code : 'evaluation.unexpected';
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof QuasarError ? error.hint : undefined;
  context.append({
    type: 'evaluation.failed',
    data: {
      ...{ round: round.round, atBlock: context.atBlock, id, uid, attempt },
      error: { code, message, hint },
      final: attempt >= MAX_ATTEMPTS && !isTransient,
    },
    key: `${round.round}:${id}:${attempt}`,
  });
  context.log(`uid ${uid} ${submission.repo}: try ${attempt} failed: ${message}`, 'warn', code);
}

/** Two failures in a round: not again in this round. */
function isSpent(round: RoundState, id: string): boolean {
  return (round.failed.get(id)?.length ?? 0) >= MAX_ATTEMPTS;
}

function gaveUpAfterCrashes(context: Context, submission: SubmissionState, round: RoundState): boolean {
  if (submission.interrupted < MAX_INTERRUPTIONS) return false;
  const { id, uid, interrupted } = submission;
  const error = {
    code: 'evaluation.crashed',
    message: `the evaluator stopped ${interrupted} times while it worked on this model and never came to an end`,
    hint: 'Load the checkpoint with `quasar check --eval` on a machine like the validator.',
  };
  const at = { round: round.round, atBlock: context.atBlock };
  context.append({
    type: 'evaluation.failed',
    data: { ...at, id, uid, error, attempt: interrupted, final: true },
    key: `${id}:crashed`,
  });
  return true;
}

/** The models that every duel of the round needs: one more try, then no verdict. */
async function orVoid<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (first) {
    if (first instanceof QuasarError && first.code === 'validator.stopped') throw first;
    try {
      return await step();
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new QuasarError('validator.no_verdict', `${what} could not be measured: ${message}`, { cause });
    }
  }
}
