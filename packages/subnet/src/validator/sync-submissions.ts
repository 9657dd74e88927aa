/** @file New commitments from the chain into the log. A payload that does not parse is refused at once, with reasons. */
import type { NewContestEvent } from '../events.ts';
import { parseCommitment } from '../rules/commitment.ts';
import { firstEligibleRound } from '../rules/round.ts';
import { submissionId } from '../rules/submission.ts';
import type { Context } from './context.ts';

export async function syncSubmissions(context: Context): Promise<void> {
  const { chain, config } = context.options;
  const events: NewContestEvent[] = [];
  for (const { uid, hotkey, revealedAtBlock, data } of await chain.commitments(config.netuid, context.atBlock)) {
    const id = submissionId(hotkey, revealedAtBlock);
    if (context.contest.submissions.has(id)) continue;
    const at = { round: firstEligibleRound(revealedAtBlock, config.round), atBlock: context.atBlock };
    const payload = parseCommitment(data);
    const named = payload.ok ? payload.value : { repo: '', revision: '' };
    events.push({ type: 'submission.seen', data: { ...at, id, uid, hotkey, revealedAtBlock, ...named }, key: id });
    if (!payload.ok)
      events.push({
        type: 'submission.rejected',
        data: { ...at, id, uid, repo: '', revision: '', status: 'INVALID', issues: payload.issues },
        key: id,
      });
  }
  if (events.length > 0) context.append(...events);
}
