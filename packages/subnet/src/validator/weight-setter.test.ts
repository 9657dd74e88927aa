/** @file Weights of a validator on a chain that hides them for an epoch. */
import { expect, it, onTestFinished } from 'vitest';
import { TEST_CONFIG, TestContest } from '../testing/contest.ts';

it.each(['hash', 'timelocked'] as const)(
  'committed weights (%s) are set once, and known when the chain shows them',
  async (commitReveal) => {
    const test = await TestContest.start({ commitReveal, tempo: 8 });
    onTestFinished(() => test.stop());
    const owner = await test.wallet('owner', 1000);
    const store = test.store('hidden');
    const contest = await test.validate('owner', owner, store, (c) => c.weights !== null);
    const { number } = await test.chain.head();
    const rows = await test.chain.weights(TEST_CONFIG.netuid, number);
    expect(rows).toMatchObject([{ hotkey: owner.hotkey, setAtBlock: contest.weights?.setAtBlock }]);
    expect(rows[0]?.weights).toEqual([{ uid: 0, weight: 1 }]);
    expect(store.events({ types: ['weights.set'] })).toHaveLength(1);
  },
);
