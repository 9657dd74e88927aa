/** @file What was judged is looked at again: gone or changed is REMOVED, a hub that is down proves nothing. */
import { QuasarError } from '@quasar/base';
import type { HubClient } from '@quasar/hub';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Evaluation } from '../evaluation/evaluation.ts';
import type { SubmissionState } from '../projection.ts';
import { student, TestContest } from '../testing/contest.ts';
import { checkSubmission } from './check-submission.ts';
import { Context } from './context.ts';
import { recheckInTurn, recheckJudged, revalidateKing } from './recheck.ts';

const ROUND = { round: 2, atBlock: 60 };
let test: TestContest;
let context: Context;
let evaluation: Evaluation;
let tests = 0;
/** What the hub says in place of the truth. */
let hub: Partial<HubClient>;

beforeAll(async () => {
  test = await TestContest.start();
});
afterAll(() => test.stop());
beforeEach(async () => {
  hub = {};
  const wallet = await test.wallet('owner');
  const options = test.options('recheck', wallet, test.store(`recheck-${tests++}`), new AbortController().signal);
  const list: HubClient['list'] = (repo, revision) => (hub.list ?? test.hub.list)(repo, revision);
  evaluation = await Evaluation.open({ ...options, evaluators: 1 });
  context = await Context.open({ ...options, hub: { ...test.hub, list } }, evaluation);
});

afterEach(() => evaluation.close());

async function seen(repo: string, share: number, block: number): Promise<SubmissionState> {
  const revision = await test.publish(repo, test.checkpoint(student(share)));
  const id = `${repo}:${block}`;
  const data = { ...ROUND, id, uid: block, hotkey: repo, repo, revision, revealedAtBlock: block };
  context.append({ type: 'submission.seen', data, key: id });
  return context.contest.submissions.get(id)!;
}

async function read(submission: SubmissionState): Promise<void> {
  expect(await checkSubmission(context, submission, ROUND.round)).not.toBeNull();
}

function crown({ id, uid, hotkey, repo, revision }: SubmissionState, reign: number): void {
  const data = { ...ROUND, id, uid, hotkey, repo, revision, crownedAtBlock: 60, reign, previous: null };
  context.append({ type: 'king.crowned', data: { ...data, source: 'duel' }, key: String(reign) });
}

const down = async () => {
  throw new QuasarError('hub.unreachable', 'no answer', { retry: 'later' });
};

it('a model that vanishes after its verdict is REMOVED, whether it is king or not', async () => {
  const former = await seen('ann/vanishes', 0.3, 10);
  const king = await seen('bob/vanishes', 0.6, 11);
  for (const one of [former, king]) await read(one);
  crown(former, 1);
  crown(king, 2);
  expect(former.status).toBe('dethroned');

  for (const { repo } of [former, king]) await test.removeRepo(repo);
  hub.list = down;
  await recheckInTurn(context, 2);
  await revalidateKing(context, 2);
  expect([former.status, king.status]).toEqual(['dethroned', 'king']);

  hub = {};
  await recheckInTurn(context, 2);
  await revalidateKing(context, 2);
  expect([former, king].map(({ status, issues }) => [status, issues[0]?.code])).toEqual([
    ['REMOVED', 'precheck.revision_missing'],
    ['REMOVED', 'precheck.revision_missing'],
  ]);
  expect(context.contest.king).toBeNull();
});

it('another list of files, or one that the hub client refuses, is a change', async () => {
  const first = await seen('ann/changes', 0.3, 10);
  const second = await seen('bob/changes', 0.6, 11);
  for (const one of [first, second]) await read(one);
  const files = (await test.hub.list(first.repo, first.revision))!;
  hub.list = async () => files.map((file) => ({ ...file, sha256: 'f'.repeat(64) }));
  expect(await recheckJudged(context, first, 2)).toBe('removed');
  hub.list = async () => {
    throw new QuasarError('hub.listing_refused', 'a file too many');
  };
  expect(await recheckJudged(context, second, 2)).toBe('removed');
  expect([first, second].map(({ issues }) => issues[0]!.code)).toEqual(Array(2).fill('precheck.revision_changed'));
});

it('a king that turns out to be the work of an earlier reveal loses the crown, with the evidence', async () => {
  const original = await seen('ann/late', 0.5, 10);
  const copy = await seen('eve/quick', 0.5, 20);
  await read(copy); // the hub had not shown the original yet
  crown(copy, 1);
  await revalidateKing(context, 2);
  expect(context.contest.king?.id).toBe(copy.id);

  await read(original);
  await revalidateKing(context, 2);
  expect(context.contest.king).toBeNull();
  expect(copy).toMatchObject({ status: 'COPY', original: { repo: 'ann/late', revealedAtBlock: 10 } });
  expect(copy.issues[0]!.code).toBe('copy.same_content');
  expect(original.status).toBe('pending');
});
