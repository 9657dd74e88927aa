/** @file Rules of the dev chain: identity, accounts and previews. */
import { describe, expect, it } from 'vitest';
import { walletFromSeed } from '../../wallet/index.ts';
import { expectCode } from '../expect-code.ts';
import { alice, bob, NETUID, type Open } from './support.ts';

export function describeAccounts(open: Open): void {
  describe('identity, accounts and previews', () => {
    const coldkey = walletFromSeed(new Uint8Array(32).fill(77));

    it('names itself by its genesis', async () => {
      const { chain } = await open();
      const identity = await chain.identity();
      expect(identity.genesis).toBe(await chain.blockHash(0));
      expect(identity).toMatchObject({ network: 'dev', specName: 'quasar-dev' });
      expect(await chain.bestHead()).toEqual(await chain.head());
    });

    it('lets a coldkey pay for and own a hotkey', async () => {
      const { chain } = await open();
      const before = await chain.balance(coldkey.address);
      const cost = await chain.registrationCost(NETUID);
      await chain.register(alice, NETUID, { coldkey });
      await chain.addStake(alice, NETUID, 2.5, { coldkey });
      expect(await chain.balance(coldkey.address)).toBeCloseTo(before - 2.5 - cost, 6);
      expect(await chain.balance(alice.address)).toBe(before);
      expect((await chain.metagraph(NETUID)).neurons[0]).toMatchObject({ coldkey: coldkey.address, stake: 2.5 });
      await expectCode(chain.register(alice, 7), 'chain.refused');
      await chain.register(alice, 7, { coldkey });
    });

    it('never spends more than an account has', async () => {
      const { chain } = await open({ initialBalance: 10, initialBurn: 0, minBurn: 0 });
      await chain.register(alice, NETUID);
      await chain.addStake(alice, NETUID, 6);
      const error = await expectCode(chain.addStake(alice, NETUID, 6), 'chain.insufficient_balance');
      expect(error.data).toEqual({ balance: 4, needed: 6 });
      expect(await chain.balance(alice.address)).toBe(4);
    });

    it('previews what it would refuse, and sends nothing', async () => {
      const { chain } = await open();
      const stake = { method: 'addStake', params: { netuid: NETUID, amount: 1 } } as const;
      await expectCode(chain.preview(alice.address, stake), 'chain.not_registered');
      const preview = await chain.preview(alice.address, { method: 'register', params: { netuid: NETUID } });
      expect(preview).toMatchObject({ call: 'dev.register', arguments: { netuid: NETUID }, signer: alice.address });
      expect(preview.encoded).toMatch(/^0x([0-9a-f]{2})+$/);
      expect((await chain.head()).number).toBe(0);
      expect((await chain.metagraph(NETUID)).neurons).toEqual([]);
    });

    it('shows the metagraph of past blocks', async () => {
      const { chain, advance } = await open();
      await chain.register(alice, NETUID);
      await chain.addStake(alice, NETUID, 3);
      await chain.register(bob, NETUID);
      await advance(2);
      const stakes = async (block: number) => (await chain.metagraph(NETUID, block)).neurons.map((n) => n.stake);
      expect(await Promise.all([0, 1, 2, 3, 4].map(stakes))).toEqual([[], [0], [3], [3, 0], [3, 0]]);
    });

    it('counts down to the next epoch', async () => {
      const { chain, advance } = await open({ tempo: 5 });
      expect((await chain.hyperparameters(NETUID)).tempo).toBe(5);
      await chain.register(alice, NETUID);
      expect(await chain.nextEpochBlock(NETUID)).toBe(6);
      await advance(5);
      expect(await chain.nextEpochBlock(NETUID)).toBe(11);
    });
  });
}
