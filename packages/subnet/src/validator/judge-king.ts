/** @file What a round without challengers says of the king: a pure function of evidence and rules, as any verdict. */
import { mean } from '@quasar/evals';
import type { ContestEvents, NewContestEvent } from '../events.ts';
import { checkStanding } from '../rules/standing.ts';
import { BASE_ID, entrant } from '../rules/submission.ts';
import { axisSpecs, type Evidence, judgeRound } from './judge-round.ts';

/** @returns the events of the verdict: the king's score, whether it stands, and that nobody is crowned */
export function judgeKing(evidence: Omit<Evidence, 'challengers'>): NewContestEvent[] {
  const { round, config, atBlock, incumbent } = evidence;
  const [scored, judged] = judgeRound({ ...evidence, challengers: [] }) as [NewContestEvent, NewContestEvent];
  const { kl, axes, quality } = scored.data as ContestEvents['evaluation.scored'];
  const baseKl = round.kl.get(BASE_ID)?.perPrompt;
  if (!baseKl) throw new Error(`judgeKing: no KL of the base in round ${round.round}`);
  const issue = checkStanding({ kl: kl.perPrompt, baseKl, axes, quality }, axisSpecs(config), config);
  const revalidated: NewContestEvent = {
    type: 'king.revalidated',
    data: {
      ...{ round: round.round, atBlock, id: incumbent.id, ...entrant(incumbent) },
      ...{ prompts: kl.perPrompt.length, kl: kl.mean, baseKl: mean(baseKl), quality, issue },
    },
    key: String(round.round),
  };
  return [scored, revalidated, judged];
}
