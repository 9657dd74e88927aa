/** @file The prechecks of one submission and what they leave in the log. Known content is not read twice. */
import type { Issue } from '@quasar/base';
import type { Listing } from '@quasar/hub';
import type { ContentRecord } from '../copy/record.ts';
import type { ModelRef } from '../evaluation/units.ts';
import type { NewContestEvent, RefusedStatus } from '../events.ts';
import { maxTotalBytes } from '../precheck/declared-sizes.ts';
import { precheck } from '../precheck/precheck.ts';
import { hubSource, manifestSha256, type SubmissionSource } from '../precheck/source.ts';
import { dataFiles } from '../precheck/weight-layout.ts';
import type { SubmissionState } from '../projection.ts';
import type { Submission } from '../rules/submission.ts';
import type { Context } from './context.ts';

/**
 * @returns the directory of a usable checkpoint; null when the submission was refused (the log says why)
 * @throws QuasarError with `retry: 'later'` when hub or disk failed: no verdict
 */
export async function checkSubmission(
  context: Context,
  submission: SubmissionState,
  round: number,
): Promise<string | null> {
  const { hub } = context.options;
  const atHub = hubSource(hub, submission.repo, submission.revision, context.signal);
  const source: SubmissionSource = {
    ...atHub,
    inspect: async () => {
      const listing = await atHub.inspect();
      context.hubAnsweredIn = round;
      return listing;
    },
    download: async (...files) => {
      const directory = await atHub.download(...files);
      context.models.took(submission);
      return directory;
    },
  };
  if (submission.content && submission.content.copyOf === undefined) return recheck(context, submission, source, round);

  const outcome = await precheck({
    submission,
    source,
    lock: context.lock,
    rules: context.config.copies,
    numbers: context.config.numbers,
    secret: context.secret,
    submissions: [...context.contest.submissions.values()].filter(({ repo }) => repo !== ''),
    records: knownRecords(context),
    // Without files it is the base model.
    fingerprint: (_, files) =>
      context.fingerprint(files ? hubRef(submission, manifestSha256(files)) : context.evaluation.base),
    manifestSha256: submission.manifestSha256,
  });
  const at = { round, atBlock: context.atBlock };
  const events: NewContestEvent[] = [];
  if (outcome.record) {
    const { tensors, chunks, samples, fingerprint, copyOf } = outcome.record;
    const manifest = outcome.files ? manifestSha256(outcome.files) : '';
    events.push({
      type: 'submission.content',
      data: {
        ...{ ...at, id: submission.id, manifestSha256: manifest, tensors, chunks, samples, fingerprint },
        ...{ sampleKey: context.sampleKey, copyOf },
      },
      key: submission.id,
    });
  }
  if (!outcome.passed) events.push(rejection(context, submission, round, outcome));
  context.append(...events);
  return outcome.passed ? outcome.directory : null;
}

/** A revision by the files that were checked. */
export function hubRef({ repo, revision }: Submission, manifest: string): ModelRef {
  return { from: 'hub', repo, revision, manifestSha256: manifest };
}

/** Content is pinned by the revision; what can change is whether it is still there. */
async function recheck(
  context: Context,
  submission: SubmissionState,
  source: SubmissionSource,
  round: number,
): Promise<string | null> {
  const listing = await source.inspect();
  if (listing?.issues.length === 0 && manifestSha256(listing.files) === submission.content?.manifestSha256)
    return source.download(dataFiles(listing.files), maxTotalBytes(context.lock));
  const issue = isGone(listing) ? revisionGone(submission) : revisionChanged(submission);
  context.append(rejection(context, submission, round, { status: 'REMOVED', issues: [issue] }));
  return null;
}

/** What was listed once and is not there any more is gone, the whole of it or a part. */
function isGone(listing: Listing | null): boolean {
  return listing === null || listing.issues.some(({ code }) => code === 'hub.not_found');
}

export function revisionGone({ repo, revision }: Submission): Issue {
  return {
    code: 'precheck.revision_missing',
    message: `${repo}@${revision.slice(0, 8)}: the revision is not there any more, or is private`,
    hint: 'Keep a committed revision public, before and after it is judged.',
  };
}

export function revisionChanged({ repo, revision }: Submission): Issue {
  return {
    code: 'precheck.revision_changed',
    message: `${repo}@${revision.slice(0, 8)}: the files are not those of the first check`,
    hint: 'Keep a committed revision as it is, before and after it is judged.',
  };
}

/** The event that ends a submission, and a line about it. Said once of a submission, whatever its status was. */
export function rejection(
  context: Context,
  submission: SubmissionState,
  round: number,
  why: {
    status: Exclude<RefusedStatus, 'EVAL_ERROR'>;
    issues: Issue[];
    original?: Submission;
  },
): NewContestEvent {
  const { id, uid, repo, revision } = submission;
  const { status, issues, original } = why;
  context.log(`${status}: uid ${uid} ${repo}: ${issues[0]?.message ?? ''}`, 'info', issues[0]?.code);
  return {
    type: 'submission.rejected',
    data: {
      ...{ round, atBlock: context.atBlock, id, uid, repo, revision, status, issues },
      original: original && {
        uid: original.uid,
        repo: original.repo,
        revision: original.revision,
        revealedAtBlock: original.revealedAtBlock,
      },
    },
    key: id,
  };
}

/** Content of everything that was read so far, copies included. */
export function knownRecords({ contest, sampleKey }: Context): ContentRecord[] {
  return [...contest.submissions.values()].flatMap((submission) => {
    const { content } = submission;
    if (!content) return [];
    const { tensors, copyOf } = content;
    const { chunks, samples, fingerprint } =
      content.sampleKey === sampleKey ? content : { chunks: {}, samples: {}, fingerprint: undefined };
    return [{ submission, tensors, chunks, samples, fingerprint, copyOf }];
  });
}
