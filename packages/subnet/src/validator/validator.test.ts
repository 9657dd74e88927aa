import { QuasarError } from '@quasar/base';
import type { Wallet } from '@quasar/chain';
import type { Store } from '@quasar/store';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Contest, rebuildContest } from '../projection.ts';
import { summarize } from '../summary.ts';
import { noisy } from '../testing/checkpoints.ts';
import { BASE, student, TEST_CONFIG, TestContest, waitUntil } from '../testing/contest.ts';
import { runValidator } from './validator.ts';

let test: TestContest;
let owner: Wallet;
let second: Wallet;
let store: Store;
let miners: Record<'ann' | 'bob' | 'eve' | 'dan' | 'fay' | 'gus', Wallet>;

const finished = (count: number) => (contest: Contest) =>
  [...contest.rounds.values()].filter(({ finishedAtMs }) => finishedAtMs !== null).length >= count;
const statuses = (contest: Contest) =>
  Object.fromEntries([...contest.submissions.values()].map(({ repo, status }) => [repo, status]));
const codesOf = (contest: Contest, repo: string) =>
  [...contest.submissions.values()].find((one) => one.repo === repo)?.issues.map(({ code }) => code);

beforeAll(async () => {
  test = await TestContest.start();
  owner = await test.wallet('owner', 1000);
  second = await test.wallet('second', 10);
  const wallets = await Promise.all(['ann', 'bob', 'eve', 'dan', 'fay', 'gus'].map((name) => test.wallet(name)));
  miners = Object.fromEntries(
    wallets.map((w, i) => [['ann', 'bob', 'eve', 'dan', 'fay', 'gus'][i]!, w]),
  ) as typeof miners;
  store = test.store('owner');
});

afterAll(async () => {
  await test.stop();
});

describe('a contest over real hub, chain and store', () => {
  it('the first king has to beat the base, and everybody else hears why not', async () => {
    const ann = student(0.3);
    await test.submit(miners.ann, 'ann/model', ann);
    await test.submit(miners.bob, 'bob/model', student(0.6));
    await test.submit(miners.eve, 'eve/stolen', ann);
    await test.submit(miners.fay, 'fay/base', BASE);
    await test.chain.commit(miners.gus, TEST_CONFIG.netuid, '{"model":"gus/x","revision":"main"}');
    await test.chain.commit(
      miners.dan,
      TEST_CONFIG.netuid,
      JSON.stringify({ model: 'dan/nothing', revision: 'd'.repeat(40) }),
    );
    const contest = await test.validate(
      'owner',
      owner,
      store,
      (c) => finished(1)(c) && (c.weights?.weights.length ?? 0) === 2,
    );

    expect(statuses(contest)).toEqual({
      'ann/model': 'lost',
      'bob/model': 'king',
      'eve/stolen': 'COPY',
      'fay/base': 'COPY',
      'dan/nothing': 'REMOVED',
      '': 'INVALID',
    });
    expect(codesOf(contest, 'eve/stolen')).toEqual(['copy.same_content']);
    expect(codesOf(contest, 'fay/base')).toEqual(['copy.same_base']);
    expect(codesOf(contest, '')).toEqual(['commitment.bad_revision']);
    expect(codesOf(contest, 'ann/model')).toEqual(['duel.crown_gate']); // beat the base, but bob was clearly better
    const { king, duels } = summarize(contest);
    expect(king).toMatchObject({ repo: 'bob/model', reign: 1 });
    expect(duels.map(({ king: opponent }) => opponent.uid)).toEqual([-1, -1]);
    expect(duels.every(({ kingKl, challengerKl }) => challengerKl < kingKl)).toBe(true);

    const uidOf = (wallet: Wallet) => [...contest.submissions.values()].find((s) => s.hotkey === wallet.hotkey)!.uid;
    expect(contest.weights?.weights).toEqual([
      { uid: uidOf(miners.bob), weight: 0.9 },
      { uid: 0, weight: 0.1 },
    ]);
    const rows = await test.chain.weights(TEST_CONFIG.netuid, (await test.chain.head()).number);
    const onChain = rows.find(({ hotkey }) => hotkey === owner.hotkey)!;
    expect(onChain.weights.find(({ uid }) => uid === uidOf(miners.bob))!.weight).toBeCloseTo(0.9, 4);
  });

  it('a better model takes the crown, a worse one and a noise copy do not', async () => {
    await test.submit(miners.ann, 'ann/better', student(0.9));
    await test.submit(miners.eve, 'eve/worse', student(0.5));
    await test.submit(miners.dan, 'dan/noise', noisy(student(0.6), 'n', 0.02));
    const before = rebuildContest(store.events()).rounds.size;
    const contest = await test.validate('owner', owner, store, finished(before + 1));
    expect(statuses(contest)).toMatchObject({
      'bob/model': 'dethroned',
      'ann/better': 'king',
      'eve/worse': 'lost',
      'dan/noise': 'lost',
    });
    const round = [...contest.rounds.values()].at(-1)!;
    expect([...round.duels.values()].map(({ king }) => king.repo)).toEqual(['bob/model', 'bob/model', 'bob/model']);
    const axes = Object.keys([...round.scored.values()][0]!.axes);
    expect(axes.length).toBeGreaterThanOrEqual(6);
  });
});

describe('a validator that is killed', () => {
  it('after and before every write, on the same blocks, ends with the verdicts of one that never was', async () => {
    const mortal = test.store('mortal');
    const chain = test.replay();
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const isDone = (contest: Contest) => contest.reigns.length === 2 && contest.openRound === null;
    const dying = (async () => {
      for (let life = 0; !stop.signal.aborted; life++) {
        const options = test.options('mortal', second, dieAtWrite(mortal, life), stop.signal);
        await runValidator({ ...options, chain }).catch((error: QuasarError) => {
          if (error.code !== 'store.killed') throw error;
        });
      }
    })();
    await Promise.race([dying, waitUntil(mortal, isDone, stop.signal)]);
    stop.abort();
    await dying;

    const verdicts = (one: Store) =>
      one
        .events({ types: ['evaluation.scored', 'duel.judged', 'round.judged'] })
        .map(({ type, data }) => ({ type, data: { ...(data as object), atBlock: 0 } }));
    expect(verdicts(mortal)).toEqual(verdicts(store));
    expect(mortal.events({ types: ['king.crowned'] })).toHaveLength(2);
    expect(mortal.events({ types: ['evaluation.failed'] })).toEqual([]);
  });
});

it('the log read up to anywhere, and on from there, gives one and the same state', () => {
  const events = store.events();
  const state = ({ submissions, rounds, reigns, king, weights, evaluations, current }: Contest) =>
    JSON.stringify([
      ...[submissions, rounds].map((map) => [...map.values()]),
      reigns,
      king,
      weights,
      evaluations,
      current,
    ]);
  const whole = state(rebuildContest(events));
  for (let upTo = 0; upTo <= events.length; upTo++) {
    const contest = rebuildContest(events.slice(0, upTo));
    for (const event of events) contest.apply(event); // those before `upTo` a second time
    expect(state(contest)).toBe(whole);
  }
});

describe('a king that is gone', () => {
  it('loses the crown, and the fallback is paid', async () => {
    const king = rebuildContest(store.events()).king!;
    await test.removeRepo(king.repo);
    const contest = await test.validate('owner', owner, store, (c) => c.weights?.weights.length === 1);
    expect(statuses(contest)['ann/better']).toBe('REMOVED');
    expect(contest.king).toBeNull();
    expect(contest.weights?.weights).toEqual([{ uid: 0, weight: 1 }]);
  });
});

/** A store whose process dies at its first write: in odd lives after it is durable, in even lives before. */
function dieAtWrite(store: Store, life: number): Store {
  const killed = () => new QuasarError('store.killed', 'the process is dead');
  let dead = false;
  return {
    ...store,
    appendAll(events) {
      if (dead) throw killed();
      if (events.every(({ type }) => ['evaluation.progress', 'validator.started'].includes(type)))
        return store.appendAll(events);
      dead = true;
      if (life % 2 === 1) store.appendAll(events);
      throw killed();
    },
  };
}
