/**
 * @file Looking again at what was judged: a revision that is gone or was changed is REMOVED, whenever that is found out.
 *
 * The king is looked at before every round, a winner before it is crowned, the others in turn. Only an answer of the
 * hub that names the revision as absent, or another list of files, counts. A hub that is down proves nothing.
 */
import { type Issue, QuasarError } from '@quasar/base';
import { baseTraces } from '../copy/base-traces.ts';
import { findOriginal } from '../copy/original.ts';
import type { BaseTraces } from '../copy/record.ts';
import { copyIssue } from '../precheck/precheck.ts';
import { manifestSha256 } from '../precheck/source.ts';
import type { SubmissionState } from '../projection.ts';
import { judgedInTurn } from '../rules/candidates.ts';
import { knownRecords, rejection, revisionChanged, revisionGone } from './check-submission.ts';
import type { Context } from './context.ts';
import { isWeather } from './weather.ts';

/** `unknown`: the hub cannot tell now. */
export type Standing = 'standing' | 'removed' | 'unknown';

/** Whether the revision is still what was judged; writes it down when it is not. */
export async function recheckJudged(context: Context, submission: SubmissionState, round: number): Promise<Standing> {
  const { repo, revision, content } = submission;
  let issue: Issue;
  try {
    const files = await context.options.hub.list(repo, revision, context);
    context.hubAnsweredIn = round;
    if (files !== null && (!content || manifestSha256(files) === content.manifestSha256)) return 'standing';
    issue = files === null ? revisionGone(submission) : revisionChanged(submission);
  } catch (error) {
    const isRefused = error instanceof QuasarError && error.code === 'hub.listing_refused';
    if (context.signal.aborted || !(isRefused || isWeather(error))) throw error;
    if (!isRefused) return 'unknown';
    issue = revisionChanged(submission);
  }
  context.append(rejection(context, submission, round, { status: 'REMOVED', issues: [issue] }));
  return 'removed';
}

/** The king loses its crown when its model is gone, was changed, or turns out to be somebody's earlier work. */
export async function revalidateKing(context: Context, round: number): Promise<void> {
  const { contest, lock, config } = context;
  const king = contest.king && contest.submissions.get(contest.king.id);
  if (!king || (await recheckJudged(context, king, round)) === 'removed') return;
  const records = knownRecords(context);
  const own = records.find(({ submission }) => submission.id === king.id);
  // An original that waited for its turn, or for a hub that was down, is read after its copy was crowned.
  if (!own) return;
  let base: BaseTraces;
  try {
    base = await baseTraces(lock, context.secret, config.copies, () => context.fingerprint(context.evaluation.base));
  } catch (error) {
    if (context.signal.aborted || !isWeather(error)) throw error;
    return;
  }
  const copy = findOriginal(own, records, lock.baseSubmission, config.copies, base);
  // On any doubt the king stays.
  if (copy?.certainty !== 'copy') return;
  const { original } = copy;
  context.append(rejection(context, king, round, { status: 'COPY', issues: [copyIssue(copy)], original }));
}

/** So many of those that were judged and still stand, another few in every round. */
export async function recheckInTurn(context: Context, round: number): Promise<void> {
  const { contest, config } = context;
  const standing = [...contest.submissions.values()].filter(
    ({ status }) => status === 'lost' || status === 'dethroned',
  );
  for (const submission of judgedInTurn(standing, round, config.candidates.maxPerRound))
    if ((await recheckJudged(context, submission, round)) === 'unknown') return; // nor about the next one
}
