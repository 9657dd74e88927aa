/**
 * @file Whom the challengers of a round have to beat.
 *
 * The chain's king at the round's start block is the incumbent, so that validators agree; its model is the revision
 * this validator crowned, or, when it never saw that crown, the last one revealed before the weights that name it.
 * The log decides when the chain has no king, names somebody without a usable submission (a fallback uid), or does
 * not show this validator's own newest verdict yet. Without any king it is the base student.
 */
import { QuasarError } from '@quasar/base';
import type { KingCrowned, NewContestEvent } from '../events.ts';
import { hubSource } from '../precheck/source.ts';
import type { SubmissionState } from '../projection.ts';
import { chainKing } from '../rules/king.ts';
import { byReveal, entrant } from '../rules/submission.ts';
import { checkSubmission } from './check-submission.ts';
import type { Context } from './context.ts';

/** Settle who is king before a round starts; writes what that changes. */
export async function resolveIncumbent(context: Context, round: { round: number; startBlock: number }): Promise<void> {
  const adopted = await foreignKing(context, round.startBlock);
  if (adopted && (await isUsable(context, adopted, round.round))) adopt(context, adopted, round.round);
  else await dropRemovedKing(context, round.round);
}

/** The submission that the chain pays and this validator does not know as king, if there is one. */
async function foreignKing(context: Context, startBlock: number): Promise<SubmissionState | null> {
  const { contest, options } = context;
  const { chain, config, wallet } = options;
  const rows = await chain.weights(config.netuid, startBlock);
  const named = chainKing(rows, await chain.metagraph(config.netuid));
  if (!named || named.hotkey === contest.king?.hotkey) return null;
  const ownRow = rows.find(({ hotkey }) => hotkey === wallet.hotkey);
  const crownedSince = (contest.king?.crownedAtBlock ?? -1) > (ownRow?.setAtBlock ?? -1);
  if (contest.king && crownedSince) return null;
  const usable = [...contest.submissions.values()].filter(
    (one) =>
      one.hotkey === named.hotkey &&
      one.revealedAtBlock <= named.weightsBlock &&
      !['COPY', 'REMOVED', 'INVALID'].includes(one.status),
  );
  return usable.sort(byReveal).at(-1) ?? null;
}

async function isUsable(context: Context, submission: SubmissionState, round: number): Promise<boolean> {
  try {
    return (await checkSubmission(context, submission, round)) !== null;
  } catch (error) {
    context.log(`the chain's king uid ${submission.uid} cannot be read: ${String(error)}`, 'warn', 'hub.unreachable');
    return false;
  }
}

function adopt(context: Context, submission: SubmissionState, round: number): void {
  const { contest } = context;
  const { id, uid, hotkey, repo, revision } = submission;
  const event: KingCrowned = {
    ...{ round, atBlock: context.atBlock, id, uid, hotkey, repo, revision },
    crownedAtBlock: context.atBlock,
    reign: contest.reigns.length + 1,
    previous: contest.king && entrant(contest.king),
    source: 'chain',
  };
  context.append({ type: 'king.crowned', data: event, key: `adopted:${round}` });
  context.log(`uid ${uid} (${repo}) is king by the stake of the network`);
}

/** A king whose revision is gone is no king. A hub that is down proves nothing, and the king stays. */
async function dropRemovedKing(context: Context, round: number): Promise<void> {
  const { king } = context.contest;
  if (!king) return;
  let files: unknown[] | null;
  try {
    files = await hubSource(context.options.hub, king.repo, king.revision).list();
  } catch (error) {
    if (error instanceof QuasarError && error.code.startsWith('hub.')) return;
    throw error;
  }
  if (files !== null) return;
  const { id, uid, repo, revision } = king;
  const issue = {
    code: 'precheck.revision_missing',
    message: `${repo}@${revision.slice(0, 8)}: the king's revision does not exist any more, or is private`,
    hint: 'A king keeps the crown only while everybody can read its model.',
  };
  const event: NewContestEvent = {
    type: 'submission.rejected',
    data: { round, atBlock: context.atBlock, id, uid, repo, revision, status: 'REMOVED', issues: [issue] },
    key: `${id}/removed`,
  };
  context.append(event);
  context.log(`king uid ${uid} removed its model and lost the crown`, 'warn');
}
