/** @file Rules of the dev chain: weights in the open. */
import { describe, expect, it } from 'vitest';
import { walletFromSeed } from '../../wallet/index.ts';
import { expectCode } from '../expect-code.ts';
import {
  alice,
  bob,
  type ChainUnderTest,
  carol,
  type DevRules,
  epoch,
  NETUID,
  type Open,
  setWeights,
} from './support.ts';

export function describeWeights(open: Open): void {
  describe('weights', () => {
    async function openWithValidator(rules: DevRules = {}): Promise<ChainUnderTest> {
      const opened = await open({ weightsRateLimitBlocks: 0, tempo: 10, ...rules });
      for (const wallet of [alice, bob, carol]) await opened.chain.register(wallet, NETUID);
      await opened.chain.addStake(alice, NETUID, 10);
      await epoch(opened.chain, opened.advance);
      return opened;
    }

    it('reads 0.9 and 0.1 back as 0.9 and 0.1 within u16 rounding', async () => {
      const { chain } = await openWithValidator();
      const setAtBlock = await setWeights(chain, alice, NETUID, [
        { uid: 1, weight: 0.9 },
        { uid: 2, weight: 0.1 },
      ]);
      const [row, ...others] = await chain.weights(NETUID, setAtBlock);
      expect(others).toEqual([]);
      expect(row).toMatchObject({ validatorUid: 0, hotkey: alice.hotkey, setAtBlock });
      expect(row?.weights.map((w) => w.uid)).toEqual([1, 2]);
      expect(Math.abs((row?.weights[0]?.weight ?? 0) - 0.9)).toBeLessThan(1 / 65535);
      expect(Math.abs((row?.weights[1]?.weight ?? 0) - 0.1)).toBeLessThan(1 / 65535);
      const neurons = (await chain.metagraph(NETUID)).neurons;
      expect(neurons[0]?.lastUpdateBlock).toBe(setAtBlock);
    });

    it('remembers the rows of past blocks', async () => {
      const { chain, advance } = await openWithValidator();
      await chain.addStake(bob, NETUID, 1);
      await epoch(chain, advance);
      const first = await setWeights(chain, alice, NETUID, [{ uid: 1, weight: 1 }]);
      await advance(4);
      const second = await setWeights(chain, alice, NETUID, [{ uid: 2, weight: 7 }]);
      await chain.setWeights(bob, NETUID, [{ uid: 0, weight: 1 }]);
      const targets = async (block: number) =>
        (await chain.weights(NETUID, block)).map((r) => [r.validatorUid, r.setAtBlock, r.weights[0]?.uid]);
      expect(await targets(first - 1)).toEqual([]);
      expect(await targets(second - 1)).toEqual([[0, first, 1]]);
      expect(await targets(second)).toEqual([[0, second, 2]]);
      expect(await targets(1_000_000)).toEqual([
        [0, second, 2],
        [1, second + 1, 0],
      ]);
    });

    it('pays by Yuma at the epoch: the king all incentive, validators by stake, miners and validators alike', async () => {
      const { chain, advance } = await openWithValidator();
      await chain.addStake(bob, NETUID, 30);
      await epoch(chain, advance);
      for (const wallet of [alice, bob]) await chain.setWeights(wallet, NETUID, [{ uid: 2, weight: 1 }]);
      const before = (await chain.metagraph(NETUID)).neurons;
      expect(before.map((n) => n.incentive)).toEqual([0, 0, 0]);
      await epoch(chain, advance);
      const after = (await chain.metagraph(NETUID)).neurons;
      expect(after.map((n) => n.incentive)).toEqual([0, 0, 1]);
      expect(after.map((n) => n.consensus)).toEqual([0, 0, 1]);
      expect(after.map((n) => n.validatorTrust)).toEqual([1, 1, 0]);
      const [a, b, c] = after.map((n, uid) => n.stake - (before[uid]?.stake as number)) as [number, number, number];
      const minted = 10 * 0.82;
      expect(a + b + c).toBeCloseTo(minted, 2);
      expect(c).toBeCloseTo(minted / 2, 2);
      const share = (before[0]?.stake as number) / ((before[0]?.stake as number) + (before[1]?.stake as number));
      expect(a / (a + b)).toBeCloseTo(share, 3);
      expect(after[0]?.dividends).toBeCloseTo(share, 3);
      expect(after[2]?.emission).toBeCloseTo(minted / 2, 2);
    });

    it('gives the owner its cut and pays it nothing for mining', async () => {
      const { chain, advance } = await open({ tempo: 10, weightsRateLimitBlocks: 0, subnetOwner: carol.hotkey });
      for (const wallet of [alice, bob, carol]) await chain.register(wallet, NETUID);
      await chain.addStake(alice, NETUID, 10);
      await epoch(chain, advance);
      const before = (await chain.metagraph(NETUID)).neurons[2]?.stake as number;
      await chain.setWeights(alice, NETUID, [{ uid: 2, weight: 1 }]);
      await chain.setWeights(carol, NETUID, [{ uid: 1, weight: 1 }]);
      await epoch(chain, advance);
      const owner = (await chain.metagraph(NETUID)).neurons[2];
      expect(owner).toMatchObject({ validatorPermit: true });
      expect(owner?.incentive).toBeGreaterThan(0);
      expect((owner?.stake as number) - before).toBeGreaterThan(10 * 0.18 - 0.01);
    });

    it('wants a registered hotkey with a permit', async () => {
      const { chain } = await openWithValidator();
      const stranger = walletFromSeed(new Uint8Array(32).fill(9));
      await expectCode(chain.setWeights(stranger, NETUID, [{ uid: 0, weight: 1 }]), 'chain.not_registered');
      await expectCode(chain.setWeights(bob, NETUID, [{ uid: 0, weight: 1 }]), 'chain.no_permit');
      expect(await chain.weights(NETUID, 100)).toEqual([]);
      await chain.setWeights(bob, NETUID, [{ uid: 1, weight: 1 }]);
      expect((await chain.weights(NETUID, 100)).map((row) => row.validatorUid)).toEqual([1]);
    });

    it('wants the version key of the subnet, enough stake, and enough uids', async () => {
      const rules = { weightsVersionKey: 7, stakeThreshold: 5, minAllowedWeights: 2 };
      const { chain } = await openWithValidator(rules);
      const row = [
        { uid: 1, weight: 1 },
        { uid: 2, weight: 0 },
      ];
      const error = await expectCode(chain.setWeights(alice, NETUID, row, { versionKey: 6 }), 'chain.version_key');
      expect(error.data).toEqual({ versionKey: 7 });
      await expectCode(chain.setWeights(bob, NETUID, row), 'chain.stake_too_low');
      await chain.setWeights(alice, NETUID, row);
      await chain.setWeights(alice, NETUID, row, { versionKey: 8 });
      await chain.setWeights(alice, NETUID, row.slice(0, 1));
      expect((await chain.weights(NETUID, 1_000_000))[0]?.weights).toEqual([
        { uid: 1, weight: 1 },
        { uid: 0, weight: 0 },
      ]);
      expect(await chain.hyperparameters(NETUID)).toMatchObject({ weightsVersionKey: 7, minAllowedWeights: 2 });
    });

    it('limits the rate, the registration counting as the first update', async () => {
      const { chain, advance } = await openWithValidator({ weightsRateLimitBlocks: 20 });
      const one = [{ uid: 1, weight: 1 }];
      const early = await expectCode(chain.setWeights(alice, NETUID, one), 'chain.too_soon');
      expect(early.data).toEqual({ retryAtBlock: 21 });
      await advance(20 - (await chain.head()).number);
      expect(await chain.setWeights(alice, NETUID, one)).toEqual({ kind: 'plain', setAtBlock: 21 });
      const again = await expectCode(chain.setWeights(alice, NETUID, one), 'chain.too_soon');
      expect(again).toMatchObject({ retry: 'later', data: { retryAtBlock: 41 } });
    });

    it('refuses malformed weights with every issue', async () => {
      const { chain } = await openWithValidator();
      const cases: { uid: number; weight: number }[][] = [
        [],
        [{ uid: 1, weight: 0 }],
        [{ uid: 1, weight: Number.NaN }],
        [{ uid: 1, weight: Number.POSITIVE_INFINITY }],
        [{ uid: 1, weight: -0.1 }],
        [{ uid: 1.5, weight: 1 }],
        [{ uid: 65536, weight: 1 }],
        [
          { uid: 1, weight: 1 },
          { uid: 1, weight: 1 },
        ],
      ];
      for (const weights of cases) await expectCode(chain.setWeights(alice, NETUID, weights), 'chain.weights_invalid');
      const unknown = [3, 1, 4].map((uid) => ({ uid, weight: 1 }));
      const error = await expectCode(chain.setWeights(alice, NETUID, unknown), 'chain.weights_invalid');
      const paths = (error.data as { issues: { path: string }[] }).issues.map((issue) => issue.path);
      expect(paths).toEqual(['params/weights/0/uid', 'params/weights/2/uid']);
      expect(await chain.weights(NETUID, 100)).toEqual([]);
    });
  });
}
