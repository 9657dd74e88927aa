/** @file Files that cannot be read: after three rounds asked for less often, told so, and healed by the first visit that reads them. */
import { QuasarError } from '@quasar/base';
import type { HubClient } from '@quasar/hub';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Evaluation } from '../evaluation/evaluation.ts';
import type { SubmissionState } from '../projection.ts';
import { rebuildContest } from '../projection.ts';
import { student, TEST_CONFIG, TestContest } from '../testing/contest.ts';
import { checkCandidates } from './check-candidates.ts';
import { Context } from './context.ts';

let test: TestContest;
let context: Context;
let evaluation: Evaluation;
/** What the hub does in place of what it should. */
let hub: Partial<HubClient> = {};

beforeAll(async () => {
  test = await TestContest.start();
  const wallet = await test.wallet('owner');
  const options = test.options('stale', wallet, test.store('stale'), new AbortController().signal);
  evaluation = await Evaluation.open({ ...options, evaluators: 1 });
  const inspect: HubClient['inspect'] = (...given) => (hub.inspect ?? test.hub.inspect)(...given);
  const readRange: HubClient['readRange'] = (...given) => (hub.readRange ?? test.hub.readRange)(...given);
  const config = { ...TEST_CONFIG, round: { ...TEST_CONFIG.round, cutoffBlocks: 1 } };
  context = await Context.open({ ...options, config, hub: { ...test.hub, inspect, readRange } }, evaluation);
});
afterAll(async () => {
  await evaluation.close();
  await test.stop();
});

async function seen(repo: string, block: number): Promise<SubmissionState> {
  const revision = await test.publish(repo, test.checkpoint(student(block / 100)));
  const id = `${repo}:${block}`;
  const data = { round: 1, atBlock: block, id, uid: block, hotkey: repo, repo, revision, revealedAtBlock: block };
  context.append({ type: 'submission.seen', data, key: id });
  return context.contest.submissions.get(id)!;
}

async function visit(round: number, ...candidates: SubmissionState[]): Promise<string[]> {
  const blocks = { startBlock: 0, cutoffBlock: 0, seedBlock: 0, activationBlock: 0 };
  const data = {
    round,
    atBlock: context.atBlock,
    ...blocks,
    seedHash: '',
    waiting: [],
    incumbent: 'base',
    configHash: '',
  };
  context.append({ type: 'round.started', data: { ...data, candidates: candidates.map(({ id }) => id) } });
  const ready = await checkCandidates(context, context.contest.openRound!);
  context.append({ type: 'round.finished', data: { round, atBlock: 0, king: null, outcome: 'no_challengers' } });
  return ready.map(({ repo }) => repo);
}

const broken = async () => {
  throw new QuasarError('hub.digest_mismatch', 'other bytes', { retry: 'later' });
};
const down = async () => {
  throw new QuasarError('hub.unreachable', 'no answer', { retry: 'later' });
};

it('three rounds of broken files make a submission stale; a hub that is down makes nobody so', async () => {
  const ann = await seen('ann/model', 30);
  hub = { inspect: down };
  for (const round of [1, 2, 3, 4]) expect(await visit(round, ann)).toEqual([]);
  expect(ann).toMatchObject({ status: 'pending', failedVisits: 0, issues: [{ code: 'hub.unreachable' }] });

  hub = { readRange: broken };
  for (const round of [5, 6]) await visit(round, ann);
  expect(ann).toMatchObject({ status: 'pending', failedVisits: 2 });
  await visit(7, ann);
  // Revealed at block 30: rounds 2, 4, 6, ... of its own.
  expect(ann).toMatchObject({
    status: 'stale',
    failedVisits: 3,
    issues: [
      { code: 'candidates.stale', message: expect.stringContaining('in 3 rounds; asked for again in round 8') },
      {},
    ],
  });
  expect(context.contest.decided().has(ann.id)).toBe(false);
  // The log alone says the same.
  expect(rebuildContest(context.options.store.events()).submissions.get(ann.id)).toEqual(ann);

  await visit(8, ann);
  expect(ann).toMatchObject({ failedVisits: 4, issues: [{ message: expect.stringContaining('round 10') }, {}] });
});

it('a stale submission holds up nobody, and is fresh again as soon as it is read', async () => {
  const ann = context.contest.submissions.get('ann/model:30')!;
  const bob = await seen('bob/model', 60);
  hub = { readRange: (repo, ...rest) => (repo === ann.repo ? broken() : test.hub.readRange(repo, ...rest)) };
  expect(await visit(10, ann, bob)).toEqual(['bob/model']);
  expect(ann.failedVisits).toBe(5);
  hub = {};
  expect(await visit(14, ann)).toEqual(['ann/model']);
  expect(ann).toMatchObject({ status: 'pending', failedVisits: 0, issues: [] });
});
