/**
 * @file Measuring every model of a round on the same tokens: teacher, base, king and the challengers, by evaluators.
 *
 * Each finished part is an event of its own; what the log or the queue already holds is not measured again. A challenger
 * whose units fail is EVAL_ERROR with the reason; a failure of anything else voids the round and leaves the king alone.
 */
import { join } from 'node:path';
import { CHECKPOINT_FILES, Tokenizer } from '@quasar/model';
import { RoundJobs } from '../evaluation/dispatch.ts';
import { keepUnit } from '../evidence/keep-unit.ts';
import type { RoundState, SubmissionState } from '../projection.ts';
import { isKingsTurn } from '../rules/standing.ts';
import { BASE_ID, BASE_UID, type Submission, TEACHER_ID } from '../rules/submission.ts';
import { checkCandidates } from './check-candidates.ts';
import { hubRef } from './check-submission.ts';
import type { Context } from './context.ts';
import { guarded, orVoid, recordFailure } from './failures.ts';
import {
  type Measured,
  type Measuring,
  measureAxes,
  measureChallenger,
  measureKl,
  measureTeacher,
} from './measure-model.ts';
import { report } from './progress.ts';
import { roundPrompts, roundTraces } from './traces.ts';
import { Vigil } from './vigil.ts';

/**
 * @returns the challengers that were measured in full; empty when nobody was fit for a duel
 * @throws QuasarError `validator.no_verdict` when teacher, base or king could not be measured
 */
export async function measureRound(context: Context, round: RoundState): Promise<Submission[]> {
  const challengers = await checkCandidates(context, round);
  if (challengers.length === 0) return [];
  return watched(context, round, (vigil) => measureAll(context, round, challengers, vigil));
}

/**
 * Measure the king again, as in a round with challengers, when there are none.
 * @returns whether it was measured
 * @throws QuasarError `validator.no_verdict` when teacher, base or king could not be measured
 */
export async function measureKing(context: Context, round: RoundState): Promise<boolean> {
  const { contest, config } = context;
  const king = contest.submissions.get(round.incumbent);
  if (!isKingsTurn(round.round, config.revalidation) || !king?.content || contest.king?.id !== king.id) return false;
  await watched(context, round, async (vigil) => {
    const measuring = await openMeasuring(context, round, vigil);
    const needed = await measureNeeded(context, measuring);
    await together(needed.map((one) => orVoid(one.id, () => measureAxes(measuring, one))));
  });
  return true;
}

async function watched<T>(context: Context, round: RoundState, measure: (vigil: Vigil) => Promise<T>): Promise<T> {
  const vigil = new Vigil(context, round);
  try {
    return await measure(vigil);
  } catch (error) {
    vigil.check(); // what made everything else fail goes first
    throw error;
  } finally {
    await vigil.end();
    tellStopped(context, round);
  }
}

async function openMeasuring(context: Context, round: RoundState, vigil: Vigil): Promise<Measuring> {
  const { evaluation, options } = context;
  const prefix = evaluation.roundPrefix(options.wallet.hotkey, round.seedHash, context.configHash);
  const jobs = new RoundJobs(evaluation.queue, prefix, {
    signal: vigil.signal,
    check: () => vigil.check(),
    keep: (unit) => keepUnit(context.evidence, evaluation.queue, round.round, unit),
  });
  const tokenizer = Tokenizer.load(join(options.baseDirectory, CHECKPOINT_FILES.tokenizer));
  const prompts = roundPrompts(round, context.config, tokenizer);
  const traces = await orVoid(TEACHER_ID, () => roundTraces({ context, round, jobs }, prompts));
  return { context, round, jobs, tokenizer, prompts, traces };
}

/** The teacher on the axes, base and king on the traces. @returns base and king, whose axes are to be measured next */
async function measureNeeded(context: Context, measuring: Measuring): Promise<Measured[]> {
  const base: Measured = { id: BASE_ID, uid: BASE_UID, repo: BASE_ID, model: context.evaluation.base };
  const king = context.contest.submissions.get(measuring.round.incumbent);
  const needed = king ? [base, ofHub(king)] : [base];
  await together([
    orVoid(TEACHER_ID, () => measureTeacher(measuring)),
    ...needed.map((one) => orVoid(one.id, () => measureKl(measuring, one))),
  ]);
  return needed;
}

async function measureAll(
  context: Context,
  round: RoundState,
  challengers: readonly SubmissionState[],
  vigil: Vigil,
): Promise<Submission[]> {
  const measuring = await openMeasuring(context, round, vigil);
  const needed = await measureNeeded(context, measuring);
  const isMeasured = (one: SubmissionState) => async () => {
    await measureChallenger(measuring, ofHub(one));
    return true;
  };
  const [measured] = await together([
    together(
      challengers.map((one) =>
        guarded(context, round, one, isMeasured(one), (error) => recordFailure(context, round, one, error)),
      ),
    ),
    ...needed.map((one) => orVoid(one.id, () => measureAxes(measuring, one))),
  ] as const);
  return challengers.filter((_, i) => measured[i]);
}

/** A submission that passed the prechecks, by the files that were checked. */
export function ofHub(one: SubmissionState): Measured {
  const { id, uid, repo, content } = one;
  if (!content) throw new Error(`measureRound: ${id} was never read`);
  return { id, uid, repo, model: hubRef(one, content.manifestSha256) };
}

/** All of them, to their ends; then the first failure. Nothing goes on behind the back of whoever called. */
async function together<const T extends readonly Promise<unknown>[]>(
  all: T,
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  await Promise.allSettled(all);
  return Promise.all(all);
}

/** Takes the sign of a running evaluation down. */
function tellStopped(context: Context, round: RoundState): void {
  const { current } = context.contest;
  if (!context.signal.aborted || !current) return;
  const { id, uid, repo } = current;
  report(context, round, { id, uid, repo, phase: 'stopped', done: 0, total: 1 });
}
