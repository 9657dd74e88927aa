/** @file A validator that was off for too long: what it had begun, or even judged, crowns nobody, and nobody loses by it. */
import { QuasarError } from '@quasar/base';
import type { Wallet } from '@quasar/chain';
import type { Store } from '@quasar/store';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ContestEventType } from '../events.ts';
import { rebuildContest } from '../projection.ts';
import { student, TEST_CONFIG, TestContest } from '../testing/contest.ts';
import { runValidator } from './validator.ts';

let test: TestContest;
let owner: Wallet;

beforeAll(async () => {
  test = await TestContest.start();
  owner = await test.wallet('owner', 1000);
});
afterAll(() => test.stop());

/** Its process dies right after it has written an event of this type. */
function dyingAfter(store: Store, type: ContestEventType): Store {
  let isDead = false;
  return {
    ...store,
    appendAll(events) {
      if (isDead) throw new QuasarError('store.killed', 'the process is dead');
      isDead = events.some((one) => one.type === type);
      return store.appendAll(events);
    },
  };
}

it.each(['round.started', 'round.judged'] as const)('off since %s: no crown, and another turn', async (last) => {
  const store = test.store(last);
  const name = last.replace('.', '-');
  await test.submit(await test.wallet(name), `${name}/model`, student(last === 'round.started' ? 0.5 : 0.8));
  const options = test.options(name, owner, dyingAfter(store, last), new AbortController().signal);
  await expect(runValidator(options)).rejects.toMatchObject({ code: 'store.killed' });
  const { round } = rebuildContest(store.events()).openRound!;

  for (let block = 0; block <= TEST_CONFIG.round.giveUpBlocks; block++) await test.chain.head();
  const isCrowned = (repo: string | undefined) => repo === `${name}/model`;
  const contest = await test.validate(name, owner, store, (c) => isCrowned(c.king?.repo) && c.openRound === null);
  expect(contest.rounds.get(round)).toMatchObject({ outcome: 'no_verdict', candidates: [expect.any(String)] });
  expect(contest.reigns.at(-1)).toMatchObject({ repo: `${name}/model`, source: 'duel' });
  expect(contest.reigns.at(-1)!.round).toBeGreaterThan(round);
});
