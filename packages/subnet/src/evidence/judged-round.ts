/** @file A past round as its log tells it. */
import { QuasarError } from '@quasar/base';
import type { StoredEvent } from '@quasar/store';
import type { ContestEvents, EvaluationMeasured, RoundJudged } from '../events.ts';
import { type RoundState, rebuildContest, type SubmissionState } from '../projection.ts';
import { BASE_ID, type Submission, TEACHER_ID } from '../rules/submission.ts';

/** A judged round as it stood in the moment before its verdict. */
export interface JudgedRound {
  round: RoundState;
  verdict: RoundJudged;
  incumbent: Submission;
  /** The incumbent's submission; null when it is the base student. */
  king: SubmissionState | null;
  /** In the order in which they were judged. */
  challengers: SubmissionState[];
  /** What was measured of the models that were judged. */
  measured: StoredEvent<EvaluationMeasured>[];
  /** What the verdict wrote. */
  events: StoredEvent[];
}

/** @throws QuasarError `duel.unknown` when the log holds no verdict of this round */
export function judgedRound(log: readonly StoredEvent[], round: number): JudgedRound {
  const isOf = (event: StoredEvent) => (event.data as { round?: number }).round === round;
  const end = log.find((event) => event.type === 'round.judged' && isOf(event));
  if (!end)
    throw new QuasarError('duel.unknown', `the log holds no verdict of round ${round}`, {
      hint: '`quasar duel list` shows the duels of this log.',
    });
  const scored = log.filter((event) => event.type === 'evaluation.scored' && isOf(event));
  const ofVerdict = new Set(['evaluation.scored', 'duel.judged', 'submission.rejected', 'round.judged']);
  // A verdict is one transaction that begins with the incumbent's score; prechecks refuse before it.
  const firstSeq = scored[0]?.seq ?? end.seq;
  const contest = rebuildContest(log.filter(({ seq }) => seq < firstSeq));
  const state = contest.rounds.get(round)!;
  const [first, ...others] = scored.map(({ data }) => data as ContestEvents['evaluation.scored']);
  const king = contest.submissions.get(state.incumbent) ?? null;
  const judged = new Set([TEACHER_ID, BASE_ID, state.incumbent, ...others.map(({ id }) => id)]);
  const measured = log.filter((event) => event.type === 'evaluation.measured' && isOf(event));
  return {
    round: state,
    verdict: end.data as RoundJudged,
    incumbent: king ?? baseSubmission(first!),
    king,
    challengers: others.map(({ id }) => contest.submissions.get(id)!),
    measured: (measured as StoredEvent<EvaluationMeasured>[]).filter(({ data }) => judged.has(data.id)),
    events: log.filter((event) => event.seq >= firstSeq && event.seq <= end.seq && ofVerdict.has(event.type)),
  };
}

function baseSubmission({ uid, repo, revision }: ContestEvents['evaluation.scored']): Submission {
  return { id: BASE_ID, uid, hotkey: '', repo, revision, revealedAtBlock: 0 };
}
