/** @file Rules of the dev chain: registration, recycled uids and stake. */
import { describe, expect, it } from 'vitest';
import { expectCode } from '../expect-code.ts';
import { alice, bob, carol, dave, epoch, NETUID, type Open } from './support.ts';

export function describeRegistration(open: Open): void {
  describe('registration and stake', () => {
    it('gives dense uids in order, once per hotkey and netuid', async () => {
      const { chain } = await open();
      expect(await chain.register(alice, NETUID)).toEqual({ uid: 0 });
      expect(await chain.register(bob, NETUID)).toEqual({ uid: 1 });
      expect(await chain.register(alice, NETUID)).toEqual({ uid: 0 });
      expect(await chain.register(carol, 7)).toEqual({ uid: 0 });
      const { neurons } = await chain.metagraph(NETUID);
      expect(neurons.map((n) => [n.uid, n.hotkey])).toEqual([
        [0, alice.hotkey],
        [1, bob.hotkey],
      ]);
      expect(neurons[1]).toMatchObject({ registeredAtBlock: 2, lastUpdateBlock: 2, stake: 0, incentive: 0 });
      expect((await chain.metagraph(99)).neurons).toEqual([]);
    });

    it('asks more after each registration and less with every block', async () => {
      const { chain, advance } = await open({
        initialBurn: 1,
        burnIncrease: 2,
        burnHalfLifeBlocks: 10,
        minBurn: 0.5,
      });
      const before = await chain.balance(alice.address);
      expect(await chain.registrationCost(NETUID)).toBe(1);
      await chain.register(alice, NETUID);
      expect(await chain.balance(alice.address)).toBe(before - 1);
      const cost = await chain.registrationCost(NETUID);
      expect(cost).toBeGreaterThan(1.8);
      expect(cost).toBeLessThan(2);
      const error = await expectCode(chain.register(bob, NETUID, { maxCost: 1.5 }), 'chain.cost_above_limit');
      expect(error).toMatchObject({ retry: 'later', data: { cost } });
      await advance(9);
      expect(await chain.registrationCost(NETUID)).toBeCloseTo(1, 6);
      await chain.register(bob, NETUID, { maxCost: 1.5 });
      expect(await chain.balance(bob.address)).toBeCloseTo(before - 1, 6);
      await chain.register(alice, NETUID, { maxCost: 0 });
      await advance(100);
      expect(await chain.registrationCost(NETUID)).toBe(0.5);
    });

    it('registers nobody who cannot pay, and nobody while closed', async () => {
      const poor = await open({ initialBalance: 1, initialBurn: 2 });
      await expectCode(poor.chain.register(alice, NETUID), 'chain.insufficient_balance');
      const closed = await open({ registrationAllowed: false });
      await expectCode(closed.chain.register(alice, NETUID), 'chain.registration_closed');
      expect((await closed.chain.hyperparameters(NETUID)).registrationAllowed).toBe(false);
    });

    it('gives the uid of the neuron that earned least to the next hotkey when all are taken', async () => {
      const rules = { maxUids: 3, tempo: 5, immunityPeriodBlocks: 1, weightsRateLimitBlocks: 0 };
      const { chain, advance } = await open(rules);
      for (const wallet of [alice, bob, carol]) await chain.register(wallet, NETUID);
      await chain.addStake(alice, NETUID, 10);
      await epoch(chain, advance);
      await chain.setWeights(alice, NETUID, [
        { uid: 1, weight: 1 },
        { uid: 2, weight: 3 },
      ]);
      await chain.setWeights(alice, NETUID, [{ uid: 2, weight: 1 }]);
      await epoch(chain, advance);
      const before = (await chain.head()).number;
      expect(await chain.register(dave, NETUID)).toEqual({ uid: 1 });
      const { neurons, atBlock } = await chain.metagraph(NETUID);
      expect(neurons.map((n) => n.hotkey)).toEqual([alice.hotkey, dave.hotkey, carol.hotkey]);
      expect(neurons[1]).toMatchObject({
        registeredAtBlock: atBlock,
        lastUpdateBlock: atBlock,
        stake: 0,
        emission: 0,
      });
      expect((await chain.metagraph(NETUID, before)).neurons[1]?.hotkey).toBe(bob.hotkey);
      await expectCode(chain.commit(bob, NETUID, 'x'), 'chain.not_registered');
    });

    it('leaves nothing of a replaced neuron to its successor: no weights, no weights for it, no stake, no commitment', async () => {
      const rules = {
        maxUids: 2,
        tempo: 5,
        immunityPeriodBlocks: 0,
        weightsRateLimitBlocks: 0,
        blocksUntilReveal: 3,
      };
      const { chain, advance } = await open(rules);
      await chain.register(alice, NETUID);
      await chain.register(bob, NETUID);
      await chain.addStake(alice, NETUID, 10);
      await chain.addStake(bob, NETUID, 20);
      await epoch(chain, advance);
      await chain.setWeights(alice, NETUID, [
        { uid: 0, weight: 1 },
        { uid: 1, weight: 1 },
      ]);
      await chain.setWeights(bob, NETUID, [{ uid: 1, weight: 1 }]);
      const set = (await chain.head()).number;
      await chain.register(dave, NETUID);
      const { neurons } = await chain.metagraph(NETUID);
      const uid = neurons.findIndex((n) => n.hotkey === dave.hotkey);
      expect(neurons[uid]).toMatchObject({ stake: 0, validatorPermit: false });
      const rows = await chain.weights(NETUID, set + 1);
      expect(rows.filter((row) => row.validatorUid === uid)).toEqual([]);
      for (const row of rows) expect(row.weights.find((weight) => weight.uid === uid)?.weight ?? 0).toBe(0);
      expect((await chain.weights(NETUID, set)).length).toBe(2);
    });

    it('replaces a neuron within its immunity only when there is no other, and the owner never', async () => {
      const { chain, advance } = await open({ maxUids: 2, immunityPeriodBlocks: 10, subnetOwner: alice.hotkey });
      await chain.register(alice, NETUID);
      await chain.register(bob, NETUID);
      expect(await chain.register(carol, NETUID)).toEqual({ uid: 1 });
      await advance(20);
      expect(await chain.register(dave, NETUID)).toEqual({ uid: 1 });
      const alone = await open({ maxUids: 1, subnetOwner: alice.hotkey });
      await alone.chain.register(alice, NETUID);
      await expectCode(alone.chain.register(bob, NETUID), 'chain.subnet_full');
      expect(await alone.chain.register(alice, NETUID)).toEqual({ uid: 0 });
    });

    it('adds stake up', async () => {
      const { chain } = await open();
      await chain.register(alice, NETUID);
      await chain.addStake(alice, NETUID, 2.5);
      await chain.addStake(alice, NETUID, 4);
      expect((await chain.metagraph(NETUID)).neurons[0]?.stake).toBe(6.5);
      await expectCode(chain.addStake(bob, NETUID, 1), 'chain.not_registered');
      for (const amount of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        await expectCode(chain.addStake(alice, NETUID, amount), 'chain.invalid_call');
      }
      expect((await chain.metagraph(NETUID)).neurons[0]?.stake).toBe(6.5);
    });

    it('permits the top validators by stake at the next epoch, nobody without stake', async () => {
      const { chain, advance } = await open({ maxValidators: 2, tempo: 5, stakeThreshold: 2 });
      for (const wallet of [alice, bob, carol]) await chain.register(wallet, NETUID);
      const permits = async () => (await chain.metagraph(NETUID)).neurons.map((n) => n.validatorPermit);
      await chain.addStake(carol, NETUID, 5);
      expect(await permits()).toEqual([false, false, false]);
      await epoch(chain, advance);
      expect(await permits()).toEqual([false, false, true]);
      await chain.addStake(bob, NETUID, 60);
      await chain.addStake(alice, NETUID, 50);
      expect(await permits()).toEqual([false, false, true]);
      const before = (await chain.head()).number;
      await epoch(chain, advance);
      expect(await permits()).toEqual([true, true, false]);
      expect((await chain.metagraph(NETUID, before)).neurons.map((n) => n.validatorPermit)).toEqual([
        false,
        false,
        true,
      ]);
    });
  });
}
