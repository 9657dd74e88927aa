/** @file Rounds that nobody enters: the king is measured again, and falls only for reasons that any validator finds. */
import { QuasarError } from '@quasar/base';
import type { Wallet } from '@quasar/chain';
import type { Store } from '@quasar/store';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ContestEvents } from '../events.ts';
import { type Contest, rebuildContest } from '../projection.ts';
import type { SubnetConfig } from '../rules/config.ts';
import { noisy } from '../testing/checkpoints.ts';
import { overlay, student, TEST_CONFIG, TestContest, waitUntil } from '../testing/contest.ts';
import { runValidator } from './validator.ts';

const config: SubnetConfig = { ...TEST_CONFIG, revalidation: { everyRounds: 2, prompts: 8 } };
let test: TestContest;
let owner: Wallet;

beforeEach(async () => {
  test = await TestContest.start();
  owner = await test.wallet('owner', 1000);
});
afterEach(() => test.stop());

/** At every third fact that is written the process dies, before or after it. */
function mortal(store: Store): Store {
  let writes = 0;
  const die = (): never => {
    throw new QuasarError('store.killed', 'the process is killed');
  };
  return {
    ...store,
    appendAll(events) {
      const isFact = events.some(({ type }) => !['validator.started', 'evaluation.progress'].includes(type));
      const isLast = isFact && ++writes % 3 === 0;
      if (isLast && writes % 2 === 0) die();
      const written = store.appendAll(events);
      return isLast ? die() : written;
    },
  };
}

/** The whole history again by another validator, until `done`. */
async function live(
  name: string,
  done: (contest: Contest, block: number) => boolean,
  { rules = config, isMortal = false } = {},
) {
  const store = test.store(name);
  const stop = new AbortController();
  const history = test.replay();
  let block = 0;
  const head = async () => {
    const now = await history.head();
    block = now.number;
    return now;
  };
  const options = {
    ...test.options(name, owner, isMortal ? mortal(store) : store, stop.signal),
    ...{ chain: overlay(history, { head }), config: rules },
  };
  const running = (async () => {
    while (!stop.signal.aborted)
      await runValidator(options).catch((error: QuasarError) => {
        if (error.code !== 'store.killed') throw error;
      });
  })();
  await Promise.race([running, waitUntil(store, (contest) => done(contest, block), stop.signal)]);
  stop.abort();
  await running;
  const events = store.events();
  const of = <T extends keyof ContestEvents>(type: T) =>
    events.filter((event) => event.type === type).map(({ data }) => data as ContestEvents[T]);
  return { contest: rebuildContest(events), of };
}

const quietRounds = ({ rounds }: Contest) =>
  [...rounds.values()].filter(({ candidates, finishedAtMs }) => candidates.length === 0 && finishedAtMs !== null);

it('is measured in its turn, on the prompts of that block, by every validator with the same bits', {
  timeout: 90_000,
}, async () => {
  await test.submit(await test.wallet('ann'), 'ann/model', student(0.5));
  const isDone = (contest: Contest) => quietRounds(contest).length >= 2;
  const [one, other] = await Promise.all([
    live('one', isDone),
    live('killed again and again', isDone, { isMortal: true }),
  ]);
  const measured = one.of('king.revalidated');
  expect(measured.length).toBeGreaterThanOrEqual(2);
  for (const { round, prompts, issue, kl, baseKl } of measured) {
    expect([round % 2, prompts, issue]).toEqual([0, 8, null]);
    expect(kl).toBeLessThan(baseKl);
  }
  expect(new Set(measured.map(({ kl }) => kl)).size).toBe(measured.length);
  expect(one.contest.king?.repo).toBe('ann/model');
  expect(one.contest.revalidated).toEqual(measured.at(-1));
  expect(quietRounds(one.contest).map(({ outcome }) => outcome)).toEqual(measured.map(() => 'no_challengers'));
  // Nobody's evaluation was spent on it.
  expect(one.contest.evaluations).toHaveLength(1);

  const facts = (validator: typeof one) =>
    [...validator.of('evaluation.measured'), ...validator.of('evaluation.scored'), ...validator.of('king.revalidated')]
      .filter(({ round }) => round <= measured[1]!.round)
      .map((fact) => JSON.stringify({ ...fact, atBlock: 0 }))
      .sort();
  expect(facts(one).length).toBeGreaterThan(10);
  expect(facts(other)).toEqual(facts(one));
});

it('falls when it is beyond the limits, once, and the network that still pays it does not bring it back', async () => {
  const strict = { ...config, kl: { ...config.kl, maxKl: 1e-3, baseFactor: 1 } };
  const whale = await test.wallet('whale', 100_000);
  const worse = await test.wallet('worse');
  await test.submit(worse, 'worse/model', noisy(student(0.5), 'worse', 3));
  // Before this validator has judged it, the stake of the network names it.
  const { neurons } = await test.chain.metagraph(config.netuid);
  const uid = neurons.find(({ hotkey }) => hotkey === worse.hotkey)!.uid;
  await test.chain.setWeights(whale, config.netuid, [{ uid, weight: 1 }]);
  const fall = ({ rounds }: Contest) => [...rounds.values()].find(({ outcome }) => outcome === 'king_removed');
  // Until two more rounds have gone by.
  const isOver = (c: Contest, block: number) => block > (fall(c)?.startBlock ?? block) + 2 * config.round.blocks;
  const { contest, of } = await live('strict', isOver, { rules: strict });
  expect(of('king.crowned')).toMatchObject([{ repo: 'worse/model', source: 'chain' }]);
  const fallen = of('king.revalidated').at(-1)!;
  expect(fallen).toMatchObject({ repo: 'worse/model', issue: { code: 'eval.kl_above_threshold' } });
  const refused = of('submission.rejected').filter(({ repo }) => repo === 'worse/model');
  expect(refused).toMatchObject([{ round: fallen.round, status: 'INVALID', issues: [fallen.issue] }]);
  // It takes effect where a crown would.
  expect(refused[0]!.atBlock).toBeGreaterThanOrEqual(contest.rounds.get(fallen.round)!.activationBlock);
  expect(contest.king).toBeNull();
  expect(contest.revalidated).toBeNull();
});
