/** @file The prechecks of a round's candidates. */
import { pauseMs } from '@quasar/base';
import { isOpen, type RoundState, type SubmissionState } from '../projection.ts';
import { sleep } from './blocks.ts';
import { checkSubmission } from './check-submission.ts';
import type { Context } from './context.ts';
import { guarded, isSpent, recordUnread } from './failures.ts';
import { tend } from './tend.ts';

interface Unread {
  submission: SubmissionState;
  error: unknown;
}

/**
 * Those that are fit for a duel, in their order. What the weather kept from being read is tried again; one submission does not hold
 * up the others.
 */
export async function checkCandidates(context: Context, round: RoundState): Promise<SubmissionState[]> {
  const ready = new Set<string>();
  const stale: Unread[] = [];
  const untilBlock = Math.max(round.activationBlock, context.atBlock + context.config.round.cutoffBlocks);
  let ids = round.candidates;
  for (let failures = 0; ids.length > 0; failures++) {
    const unread: Unread[] = [];
    for (const id of ids) {
      const submission = context.contest.submissions.get(id)!;
      if (!isOpen(submission) || isSpent(round, id)) continue;
      const check = () => checkSubmission(context, submission, round.round);
      const directory = await guarded(context, round, submission, check, (error) => {
        // A stale one is asked once and holds nobody up.
        if (submission.status === 'stale') stale.push({ submission, error });
        else unread.push({ submission, error });
      });
      if (directory) ready.add(id);
    }
    if (unread.length === 0) break;
    await tend(context);
    if (context.atBlock >= untilBlock) {
      for (const { submission, error } of unread) recordUnread(context, round, submission, error);
      break;
    }
    const waitMs = pauseMs(failures);
    const { submission, error } = unread[0]!;
    context.log(`uid ${submission.uid} ${submission.repo}: ${error}; again in ${waitMs} ms`, 'warn');
    await sleep(waitMs, context.signal);
    ids = unread.map((one) => one.submission.id);
  }
  // Last, when it is known whether the hub answered for others.
  for (const { submission, error } of stale) recordUnread(context, round, submission, error);
  return round.candidates.filter((id) => ready.has(id)).map((id) => context.contest.submissions.get(id)!);
}
