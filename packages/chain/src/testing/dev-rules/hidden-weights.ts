/** @file Rules of the dev chain: hidden weights. */
import { describe, expect, it } from 'vitest';
import type { Chain } from '../../port.ts';
import { expectCode } from '../expect-code.ts';
import { alice, bob, carol, type DevRules, epoch, NETUID, type Open } from './support.ts';

export function describeHiddenWeights(open: Open): void {
  describe('hidden weights', () => {
    const TEMPO = 10;
    async function openHidden(commitReveal: 'hash' | 'timelocked', rules: DevRules = {}) {
      const opened = await open({ tempo: TEMPO, weightsRateLimitBlocks: 0, commitReveal, ...rules });
      for (const wallet of [alice, bob, carol]) await opened.chain.register(wallet, NETUID);
      await opened.chain.addStake(alice, NETUID, 10);
      await epoch(opened.chain, opened.advance);
      return opened;
    }
    const targets = async (chain: Chain, block = 1_000_000) =>
      (await chain.weights(NETUID, block)).map((row) => [row.validatorUid, row.setAtBlock, row.weights]);
    const two = [
      { uid: 2, weight: 3 },
      { uid: 1, weight: 1 },
    ];

    it('timelocked: nobody reads them before their epoch, then the chain reveals and pays by them', async () => {
      const { chain, advance } = await openHidden('timelocked');
      expect((await chain.hyperparameters(NETUID)).commitRevealEnabled).toBe(true);
      const receipt = await chain.setWeights(alice, NETUID, [{ uid: 2, weight: 1 }]);
      const next = await chain.nextEpochBlock(NETUID);
      expect(receipt).toEqual({
        kind: 'timelocked',
        committedAtBlock: next - TEMPO + 1,
        revealRound: next,
        expectedRevealBlock: next,
      });
      const pending = { hotkey: alice.hotkey, kind: 'timelocked', committedAtBlock: next - TEMPO + 1 };
      expect(await chain.pendingWeights(NETUID)).toEqual([{ ...pending, expectedRevealBlock: next }]);
      expect(await chain.revealWeights(alice, NETUID)).toEqual({ revealed: 0 });
      await advance(TEMPO - 2);
      expect((await chain.head()).number).toBe(next - 1);
      expect(await targets(chain)).toEqual([]);
      await advance(1);
      expect(await targets(chain)).toEqual([[0, next, [{ uid: 2, weight: 1 }]]]);
      expect(await targets(chain, next - 1)).toEqual([]);
      expect(await chain.pendingWeights(NETUID)).toEqual([]);
      const { neurons } = await chain.metagraph(NETUID);
      expect(neurons.map((n) => n.incentive)).toEqual([0, 0, 1]);
      expect(neurons[0]?.lastUpdateBlock).toBe(next - TEMPO + 1);
    });

    it('by hash: their validator reveals them in the epoch after, neither sooner nor later', async () => {
      const { chain, advance } = await openHidden('hash', { weightsVersionKey: 3 });
      const receipt = await chain.setWeights(alice, NETUID, two);
      const next = await chain.nextEpochBlock(NETUID);
      expect(receipt).toMatchObject({ kind: 'hash', revealFromBlock: next, revealUntilBlock: next + TEMPO - 1 });
      expect(await chain.pendingWeights(NETUID)).toMatchObject([{ kind: 'hash', expectedRevealBlock: next }]);
      expect(await chain.revealWeights(alice, NETUID)).toEqual({ revealed: 0 });
      await epoch(chain, advance);
      expect(await chain.revealWeights(bob, NETUID)).toEqual({ revealed: 0 });
      expect(await targets(chain)).toEqual([]);
      expect(await chain.revealWeights(alice, NETUID)).toEqual({ revealed: 1 });
      expect(await chain.revealWeights(alice, NETUID)).toEqual({ revealed: 0 });
      const [row] = await chain.weights(NETUID, 1_000_000);
      expect(row).toMatchObject({ validatorUid: 0, setAtBlock: next + 1 });
      expect(row?.weights.map((w) => Math.round(w.weight * 100))).toEqual([75, 25]);
      expect(await chain.pendingWeights(NETUID)).toEqual([]);

      await chain.setWeights(alice, NETUID, [{ uid: 1, weight: 1 }]);
      await epoch(chain, advance);
      await epoch(chain, advance);
      expect(await chain.pendingWeights(NETUID)).toEqual([]);
      expect(await chain.revealWeights(alice, NETUID)).toEqual({ revealed: 0 });
      expect((await chain.weights(NETUID, 1_000_000))[0]?.weights).toHaveLength(2);
    });

    it('wait as many epochs as the subnet says', async () => {
      const { chain, advance } = await openHidden('timelocked', { revealPeriodEpochs: 2 });
      await chain.setWeights(alice, NETUID, two);
      const due = (await chain.nextEpochBlock(NETUID)) + TEMPO;
      await epoch(chain, advance);
      expect(await targets(chain)).toEqual([]);
      await epoch(chain, advance);
      expect((await targets(chain)).map(([, at]) => at)).toEqual([due]);
    });

    it('at most ten wait per hotkey', async () => {
      const { chain } = await openHidden('hash', { tempo: 40 });
      for (let i = 0; i < 10; i++) await chain.setWeights(alice, NETUID, two);
      const error = await expectCode(chain.setWeights(alice, NETUID, two), 'chain.too_many_commits');
      expect(error).toMatchObject({ retry: 'later', data: { retryAtBlock: await chain.nextEpochBlock(NETUID) } });
    });

    it('limit the rate of commits, and refuse unknown uids and other malformed weights before anything is hidden', async () => {
      const { chain } = await openHidden('timelocked', { weightsRateLimitBlocks: 20 });
      await expectCode(chain.setWeights(alice, NETUID, two), 'chain.too_soon');
      await expectCode(chain.setWeights(alice, NETUID, [{ uid: 3, weight: 1 }]), 'chain.weights_invalid');
      await expectCode(chain.setWeights(alice, NETUID, [{ uid: 1, weight: 0 }]), 'chain.weights_invalid');
      const call = { method: 'setWeights', params: { netuid: NETUID, weights: two } } as const;
      await expectCode(chain.preview(alice.address, call), 'chain.too_soon');
      expect(await chain.pendingWeights(NETUID)).toEqual([]);
    });
  });
}
