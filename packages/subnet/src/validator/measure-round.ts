/**
 * @file Measuring every model of a round on the same tokens: teacher, base, king, then the challengers.
 *
 * Each finished part is an event of its own; what the log already holds is not measured again. A challenger that fails
 * twice is EVAL_ERROR with the reason; a failure of anything else voids the round and leaves the king alone.
 */
import { QuasarError } from '@quasar/base';
import type { RoundState, SubmissionState } from '../projection.ts';
import { isOverdue } from '../rules/round.ts';
import { BASE_ID, type Submission, TEACHER_ID, TEACHER_UID } from '../rules/submission.ts';
import { sleep, throwIfStopped } from './blocks.ts';
import { checkSubmission } from './check-submission.ts';
import type { Context } from './context.ts';
import { type Measuring, measureModel, measureTeacher } from './measure-model.ts';
import { report } from './progress.ts';
import { tend } from './tend.ts';
import { roundTraces } from './traces.ts';
import { isWeather, pauseMs, throughWeather } from './weather.ts';

const MAX_ATTEMPTS = 2;
/** A process that died this often over one submission will die again. */
const MAX_INTERRUPTIONS = 4;

/**
 * @returns the challengers that were measured in full; empty when nobody was fit for a duel
 * @throws QuasarError `validator.no_verdict` when teacher, base or king could not be measured
 */
export async function measureRound(context: Context, round: RoundState): Promise<Submission[]> {
  const ready = await checkCandidates(context, round);
  if (ready.length === 0) return [];

  const isOpen = () => isStillOpen(context, round);
  const orVoid = <T>(what: string, step: () => Promise<T>) =>
    voidOnFailure(what, () => throughWeather(context, what, isOpen, step));
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
      await tend(context); // newcomers show up and weights grow old while a long round runs
      const measure = async () => {
        await throughWeather(context, submission.repo, isOpen, () => measureModel(measuring, submission, directory));
        return true;
      };
      const done = await guarded(context, round, submission, measure, (error) =>
        recordFailure(context, round, submission, error),
      );
      if (done) measured.push(submission);
    }
    return measured;
  } finally {
    teacher.dispose();
  }
}

interface Ready {
  submission: SubmissionState;
  directory: string;
}

/** The prechecks. Those that the weather kept from being read are tried again; one of them does not hold up the others. */
async function checkCandidates(context: Context, round: RoundState): Promise<Ready[]> {
  const ready = new Map<string, Ready>();
  const untilBlock = Math.max(round.activationBlock, context.atBlock + context.config.round.cutoffBlocks);
  let ids = round.candidates;
  for (let failures = 0; ids.length > 0; failures++) {
    const unread: { submission: SubmissionState; error: unknown }[] = [];
    for (const id of ids) {
      const submission = context.contest.submissions.get(id)!;
      if (submission.status !== 'pending' || isSpent(round, id)) continue;
      if (gaveUpAfterCrashes(context, submission, round)) continue;
      const check = () => checkSubmission(context, submission, round.round);
      const directory = await guarded(context, round, submission, check, (error) => {
        unread.push({ submission, error });
      });
      if (directory) ready.set(id, { submission, directory });
    }
    if (unread.length === 0) break;
    await tend(context);
    if (context.atBlock >= untilBlock) {
      for (const { submission, error } of unread) recordFailure(context, round, submission, error);
      break;
    }
    const waitMs = pauseMs(failures);
    const { submission, error } = unread[0]!;
    context.log(`uid ${submission.uid} ${submission.repo}: ${error}; again in ${waitMs} ms`, 'warn');
    await sleep(waitMs, context.signal);
    ids = unread.map((one) => one.submission.id);
  }
  return round.candidates.flatMap((id) => ready.get(id) ?? []);
}

async function measureKing(measuring: Measuring, king: SubmissionState): Promise<void> {
  const { context } = measuring;
  const { hub } = context.options;
  const files = await hub.list(king.repo, king.revision);
  if (!files) throw new QuasarError('hub.not_found', `the king's revision ${king.repo} is gone`);
  const { repo, revision } = king;
  const maxTotalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const directory = await hub.download(repo, revision, { files, maxTotalBytes, signal: context.signal });
  await measureModel(measuring, king, directory);
}

/**
 * Run a challenger's step; a second failure that is not the world's fault ends the submission.
 * @param onWeather takes a failure that is nobody's fault
 */
async function guarded<T>(
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
      if (isStoreFailure(error)) throw error;
      if (isWeather(error)) {
        onWeather(error);
        return null;
      }
      recordFailure(context, round, submission, error);
      if (isSpent(round, submission.id)) return null;
    }
  }
}

/** Without its log a validator can do nothing: the daemon waits for it. */
function isStoreFailure(error: unknown): boolean {
  return error instanceof QuasarError && error.code.startsWith('store.');
}

/** While a verdict of this round could still count. */
async function isStillOpen(context: Context, round: RoundState): Promise<boolean> {
  await tend(context);
  return !isOverdue(round, context.atBlock, context.config.round);
}

function recordFailure(context: Context, round: RoundState, submission: SubmissionState, error: unknown): void {
  const { id, uid } = submission;
  const earlier = round.failed.get(id) ?? [];
  const attempt = earlier.length + 1;
  const transient = isWeather(error);
  const code = error instanceof QuasarError ? error.code : 'evaluation.unexpected';
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof QuasarError ? error.hint : undefined;
  context.append({
    type: 'evaluation.failed',
    data: {
      ...{ round: round.round, atBlock: context.atBlock, id, uid, attempt, transient },
      error: { code, message, hint },
      final: !transient && earlier.filter((one) => !one.transient).length + 1 >= MAX_ATTEMPTS,
    },
    key: `${round.round}:${id}:${attempt}`,
  });
  context.log(`uid ${uid} ${submission.repo}: try ${attempt} failed: ${message}`, 'warn', code);
}

/** Not again in this round: the weather lasted too long for it, or it failed twice. */
function isSpent(round: RoundState, id: string): boolean {
  const failed = round.failed.get(id) ?? [];
  return failed.some(({ transient }) => transient) || failed.length >= MAX_ATTEMPTS;
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
async function voidOnFailure<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (first) {
    if (mustPass(first)) throw first;
    try {
      return await step();
    } catch (cause) {
      if (mustPass(cause)) throw cause;
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new QuasarError('validator.no_verdict', `${what} could not be measured: ${message}`, { cause });
    }
  }
}

function mustPass(error: unknown): boolean {
  return isStoreFailure(error) || (error instanceof QuasarError && error.code === 'validator.stopped');
}
