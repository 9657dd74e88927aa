/** @file The verdict of a past round once more, from what the log says was measured. No model is needed for it. */
import { canonicalJson, QuasarError } from '@quasar/base';
import type { StoredEvent } from '@quasar/store';
import type { ContestEvents, NewContestEvent, RoundJudged } from '../events.ts';
import { type RoundState, rebuildContest } from '../projection.ts';
import type { SubnetConfig } from '../rules/config.ts';
import { BASE_ID, type Submission } from '../rules/submission.ts';
import { judgeRound } from '../validator/judge-round.ts';

/** A judged round as it stood in the moment before its verdict. */
export interface JudgedRound {
  round: RoundState;
  verdict: RoundJudged;
  incumbent: Submission;
  /** In the order in which they were judged. */
  challengers: Submission[];
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
  const [king, ...others] = scored.map(({ data }) => data as ContestEvents['evaluation.scored']);
  return {
    round: state,
    verdict: end.data as RoundJudged,
    incumbent: contest.submissions.get(state.incumbent) ?? baseSubmission(king!),
    challengers: others.map(({ id }) => contest.submissions.get(id)!),
    events: log.filter((event) => event.seq >= firstSeq && event.seq <= end.seq && ofVerdict.has(event.type)),
  };
}

function baseSubmission({ uid, repo, revision }: ContestEvents['evaluation.scored']): Submission {
  return { id: BASE_ID, uid, hotkey: '', repo, revision, revealedAtBlock: 0 };
}

/** @returns what differs between the verdict in the log and the one that the rules give, in words; empty when nothing does */
export function rejudge(judged: JudgedRound, config: SubnetConfig): string[] {
  const { round, verdict, incumbent, challengers, events } = judged;
  const { configHash, atBlock } = verdict;
  const again = judgeRound({ round, config, configHash, atBlock, incumbent, challengers });
  const differences: string[] = [];
  for (let i = 0; i < Math.max(again.length, events.length); i++) {
    const [mine, theirs] = [again[i], events[i]];
    if (!mine || !theirs) differences.push(`event ${i}: ${nameOf(mine)} now, ${nameOf(theirs)} in the log`);
    else if (mine.type !== theirs.type || canonicalJson(mine.data) !== canonicalJson(theirs.data))
      differences.push(`${theirs.type} ${theirs.key}: ${firstDifference(mine.data, theirs.data)}`);
  }
  return differences;
}

function nameOf(event: StoredEvent | NewContestEvent | undefined): string {
  return event ? `${event.type} ${event.key ?? ''}` : 'nothing';
}

/** The first member of two values that is not the same, by its path. */
export function firstDifference(mine: unknown, theirs: unknown, path = ''): string {
  if (isRecord(mine) && isRecord(theirs)) {
    for (const key of new Set([...Object.keys(mine), ...Object.keys(theirs)])) {
      if (canonicalJson(mine[key]) !== canonicalJson(theirs[key]))
        return firstDifference(mine[key], theirs[key], path === '' ? key : `${path}.${key}`);
    }
  }
  return `${path || 'value'} is ${shown(mine)} now, ${shown(theirs)} in the log`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function shown(value: unknown): string {
  const text = canonicalJson(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
