/** @file Starting a round: the candidate set is frozen and written before anything is judged. */
import { QuasarError } from '@quasar/base';
import type { NewContestEvent } from '../events.ts';
import type { SubmissionState } from '../projection.ts';
import { freezeCandidates } from '../rules/candidates.ts';
import { firstEligibleRound, type RoundPlan } from '../rules/round.ts';
import { isVisited } from '../rules/stale.ts';
import { isKingsTurn } from '../rules/standing.ts';
import type { Context } from './context.ts';
import { resolveIncumbent } from './incumbent.ts';
import { recheckInTurn } from './recheck.ts';

/** @returns false when nobody is there to be judged, nor is it the king's turn; such a round leaves no trace in the log */
export async function openRound(context: Context, plan: RoundPlan): Promise<boolean> {
  const { chain, config } = context.options;
  const seedHash = await chain.blockHash(plan.seedBlock);
  if (seedHash === null)
    throw new QuasarError('chain.unreachable', `the chain has no hash for its own block ${plan.seedBlock}`, {
      retry: 'later',
    });
  const { contest } = context;
  await resolveIncumbent(context, plan);
  await recheckInTurn(context, plan.round);
  const { neurons } = await chain.metagraph(config.netuid, plan.startBlock);
  const { candidates, waiting, superseded } = freezeCandidates(
    {
      submissions: [...contest.submissions.values()].filter(({ repo }) => repo !== ''),
      cutoffBlock: plan.cutoffBlock,
      registered: new Map(neurons.map(({ hotkey, uid }) => [hotkey, uid])),
      decided: contest.decided(),
      evaluations: contest.evaluations,
      resting: restingIn(context, plan.round),
    },
    config.candidates,
  );
  rejectSuperseded(context, plan.round, superseded);
  const { king } = contest;
  if (candidates.length === 0 && !(king && isKingsTurn(plan.round, config.revalidation))) return false;
  context.evidence.keepRules(config);
  context.append({
    type: 'round.started',
    data: {
      ...plan,
      atBlock: context.atBlock,
      seedHash,
      candidates: candidates.map(({ id }) => id),
      waiting,
      incumbent: king?.id ?? context.base.id,
      configHash: context.configHash,
    },
    key: String(plan.round),
  });
  const against = king?.repo ?? 'the base model';
  context.log(
    candidates.length === 0
      ? `round ${plan.round}: nobody challenges ${against}: it is measured again`
      : `round ${plan.round}: ${candidates.length} challengers against ${against}`,
  );
  return true;
}

/** Stale submissions that are not asked for in this round. */
function restingIn({ contest, config }: Context, round: number): Set<string> {
  const { stale } = config.candidates;
  const isResting = ({ failedVisits, revealedAtBlock }: SubmissionState) =>
    !isVisited(failedVisits, round, firstEligibleRound(revealedAtBlock, config.round), stale);
  return new Set([...contest.submissions.values()].filter(isResting).map(({ id }) => id));
}

function rejectSuperseded(context: Context, round: number, superseded: { id: string; by: string }[]): void {
  const events = superseded.map(({ id, by }): NewContestEvent => {
    const { uid, repo, revision } = context.contest.submissions.get(id)!;
    const issue = {
      code: 'candidates.superseded',
      message: `replaced by a newer commitment of the same hotkey (${by}) before it was judged`,
    };
    return {
      type: 'submission.rejected',
      data: { round, atBlock: context.atBlock, id, uid, repo, revision, status: 'REMOVED', issues: [issue] },
      key: id,
    };
  });
  if (events.length > 0) context.append(...events);
}
