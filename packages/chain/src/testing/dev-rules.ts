/**
 * @file The rules of the dev chain, block by block, in process and served. What every chain does alike is in port-contract.ts.
 *
 * The factory opens a fresh, empty chain that makes blocks on demand, with the given options.
 */
import { describe, expect, it, onTestFinished } from 'vitest';
import { COMMITMENT_MAX_BYTES } from '../dev/call.ts';
import type { DevChainOptions } from '../dev/options.ts';
import type { Chain, Commitment, Head, Wallet, Weight } from '../port.ts';
import { walletFromSeed } from '../wallet/index.ts';
import { expectCode } from './expect-code.ts';

export interface ChainUnderTest {
  chain: Chain;
  /** Makes this many blocks. */
  advance(blocks: number): Promise<unknown>;
  close(): Promise<void>;
}

export type DevRules = Partial<Omit<DevChainOptions, 'path' | 'blockTimeMs'>>;

const NETUID = 24;
const [alice, bob, carol, dave] = [1, 2, 3, 4].map((n) => walletFromSeed(new Uint8Array(32).fill(n))) as [
  Wallet,
  Wallet,
  Wallet,
  Wallet,
];

export function describeDevRules(name: string, factory: (rules: DevRules) => Promise<ChainUnderTest>): void {
  async function open(rules: DevRules = {}): Promise<ChainUnderTest> {
    const opened = await factory(rules);
    onTestFinished(() => opened.close());
    return opened;
  }

  describe(`rules of the dev chain: ${name}`, () => {
    describe('blocks', () => {
      it('numbers blocks densely and gives each a hash that stays', async () => {
        const { chain, advance } = await open();
        const first = await chain.head();
        await advance(3);
        const last = await chain.head();
        expect(last.number).toBe(first.number + 3);
        expect(await chain.blockHash(first.number)).toBe(first.hash);
        expect(await chain.blockHash(last.number)).toBe(last.hash);
        const hashes = await Promise.all([0, 1, 2, 3].map((n) => chain.blockHash(n)));
        for (const hash of hashes) expect(hash).toMatch(/^0x[0-9a-f]{64}$/);
        expect(new Set(hashes).size).toBe(4);
      });

      it('has no hash for a block that does not exist yet', async () => {
        const { chain, advance } = await open();
        expect(await chain.blockHash(1)).toBeNull();
        await advance(1);
        expect(await chain.blockHash(1)).not.toBeNull();
      });

      it('tells its pace', async () => {
        const { chain } = await open();
        expect(await chain.blockTimeMs()).toBe(0);
      });

      it('follows heads from the current one without gaps until aborted', async () => {
        const { chain, advance } = await open();
        await advance(2);
        const abort = new AbortController();
        const seen: Head[] = [];
        for await (const head of chain.heads(abort.signal)) {
          seen.push(head);
          if (head.number === 2) await advance(3);
          if (head.number === 5) void advance(1);
          if (head.number === 6) abort.abort();
        }
        expect(seen.map((h) => h.number)).toEqual([2, 3, 4, 5, 6]);
        for (const head of seen) expect(await chain.blockHash(head.number)).toBe(head.hash);
      });

      it('ends heads quietly when aborted before or while waiting', async () => {
        const { chain } = await open();
        for await (const _ of chain.heads(AbortSignal.abort())) expect.unreachable();
        const abort = new AbortController();
        const seen: number[] = [];
        for await (const head of chain.heads(abort.signal)) {
          seen.push(head.number);
          setTimeout(() => abort.abort(), 20);
        }
        expect(seen).toEqual([0]);
      });
    });

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

    describe('commitments', () => {
      it('reveals after the delay, and shows nothing before the reveal block exists', async () => {
        const { chain, advance } = await open({ blocksUntilReveal: 3 });
        await chain.register(alice, NETUID);
        expect(await chain.commit(alice, NETUID, 'first')).toEqual({ committedAtBlock: 2, expectedRevealBlock: 5 });
        await advance(2);
        expect((await chain.head()).number).toBe(4);
        expect(await chain.commitments(NETUID, 1_000_000)).toEqual([]);
        await advance(1);
        const expected: Commitment = { uid: 0, hotkey: alice.hotkey, revealedAtBlock: 5, data: 'first' };
        expect(await chain.commitments(NETUID, 5)).toEqual([expected]);
        expect(await chain.commitments(NETUID, 4)).toEqual([]);
        expect(await chain.commitments(7, 1_000_000)).toEqual([]);
      });

      it('keeps the whole history, oldest reveal first', async () => {
        const { chain, advance } = await open();
        await chain.register(alice, NETUID);
        await chain.register(bob, NETUID);
        for (const [wallet, data] of [
          [bob, 'b1'],
          [alice, 'a1'],
          [bob, 'b2'],
          [bob, 'b2'],
        ] as const) {
          await chain.commit(wallet, NETUID, data);
        }
        await advance(1);
        const all = await chain.commitments(NETUID, (await chain.head()).number);
        expect(all.map((c) => [c.uid, c.revealedAtBlock, c.data])).toEqual([
          [1, 4, 'b1'],
          [0, 5, 'a1'],
          [1, 6, 'b2'],
          [1, 7, 'b2'],
        ]);
        expect(await chain.commitments(NETUID, 5)).toEqual(all.slice(0, 2));
      });

      it('a newer one replaces one that is not revealed yet, and a hotkey is revealed once per block', async () => {
        const { chain, advance } = await open();
        await chain.register(alice, NETUID);
        await chain.commit(alice, NETUID, 'hidden', { blocksUntilReveal: 5 });
        await chain.commit(alice, NETUID, 'newer', { blocksUntilReveal: 2 });
        await advance(10);
        const seen = async () => (await chain.commitments(NETUID, 100)).map((c) => [c.revealedAtBlock, c.data]);
        expect(await seen()).toEqual([[5, 'newer']]);
        await chain.commit(alice, NETUID, 'locked', { blocksUntilReveal: 1 });
        const due = (await chain.head()).number + 1;
        const early = await expectCode(chain.commit(alice, NETUID, 'open', { blocksUntilReveal: 0 }), 'chain.too_soon');
        expect(early.data).toEqual({ retryAtBlock: due + 1 });
        await advance(1);
        expect(await chain.commit(alice, NETUID, 'open', { blocksUntilReveal: 0 })).toEqual({
          committedAtBlock: due + 1,
          expectedRevealBlock: due + 1,
        });
        expect(await seen()).toEqual([
          [5, 'newer'],
          [due, 'locked'],
          [due + 1, 'open'],
        ]);
      });

      it('takes as much text as a timelocked commitment of subtensor holds', async () => {
        const { chain, advance } = await open();
        await chain.register(alice, NETUID);
        const largest = `${'é'.repeat(COMMITMENT_MAX_BYTES / 2 - 1)}\u0000\n`;
        expect(Buffer.byteLength(largest)).toBe(COMMITMENT_MAX_BYTES);
        await chain.commit(alice, NETUID, largest);
        await expectCode(chain.commit(alice, NETUID, `${largest}a`), 'chain.commitment_too_large');
        await expectCode(chain.commit(alice, NETUID, ''), 'chain.commitment_invalid');
        await expectCode(chain.commit(alice, NETUID, 'half \ud83d'), 'chain.commitment_invalid');
        await advance(1);
        expect((await chain.commitments(NETUID, 100)).map((c) => c.data)).toEqual([largest]);
      });

      it('refuses strangers', async () => {
        const { chain } = await open();
        await expectCode(chain.commit(alice, NETUID, 'x'), 'chain.not_registered');
        expect((await chain.head()).number).toBe(0);
      });

      it('takes 3100 bytes per hotkey and epoch, at least 100 each, and says when there is room again', async () => {
        const { chain, advance } = await open({ blocksUntilReveal: 0, tempo: 50 });
        await chain.register(alice, NETUID);
        await chain.register(bob, NETUID);
        for (let i = 0; i < 31; i++) await chain.commit(alice, NETUID, `n${i}`);
        const error = await expectCode(chain.commit(alice, NETUID, 'too many'), 'chain.space_full');
        expect(error).toMatchObject({ retry: 'later', data: { retryAtBlock: 51 } });
        await chain.commit(bob, NETUID, 'x'.repeat(700));
        await advance(49 - (await chain.head()).number);
        await expectCode(chain.commit(alice, NETUID, 'one block early'), 'chain.space_full');
        await advance(1);
        expect((await chain.commit(alice, NETUID, 'in time')).committedAtBlock).toBe(51);
        for (let i = 0; i < 4; i++) await chain.commit(bob, NETUID, 'x'.repeat(700));
        await expectCode(chain.commit(bob, NETUID, 'x'.repeat(700)), 'chain.space_full');
        await chain.commit(bob, NETUID, 'x'.repeat(300));
      });
    });

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
        for (const weights of cases)
          await expectCode(chain.setWeights(alice, NETUID, weights), 'chain.weights_invalid');
        const unknown = [3, 1, 4].map((uid) => ({ uid, weight: 1 }));
        const error = await expectCode(chain.setWeights(alice, NETUID, unknown), 'chain.weights_invalid');
        const paths = (error.data as { issues: { path: string }[] }).issues.map((issue) => issue.path);
        expect(paths).toEqual(['params/weights/0/uid', 'params/weights/2/uid']);
        expect(await chain.weights(NETUID, 100)).toEqual([]);
      });
    });

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

    it('refuses parameters of the wrong shape', async () => {
      const { chain } = await open();
      for (const bad of [-1, 1.5, Number.NaN, 65536]) {
        await expectCode(chain.metagraph(bad), 'chain.invalid_call');
        await expectCode(chain.register(alice, bad), 'chain.invalid_call');
      }
      await expectCode(chain.blockHash(-1), 'chain.invalid_call');
      await expectCode(chain.commitments(NETUID, 0.5), 'chain.invalid_call');
      await expectCode(chain.weights(NETUID, Number.NaN), 'chain.invalid_call');
    });

    it('refuses a signature by another key', async () => {
      const { chain } = await open();
      const forger: Wallet = {
        hotkey: bob.hotkey,
        address: bob.hotkey,
        sign: (message: Uint8Array) => alice.sign(message),
      };
      await expectCode(chain.register(forger, NETUID), 'chain.bad_signature');
      expect((await chain.metagraph(NETUID)).neurons).toEqual([]);
    });
  });
}

/** Makes blocks up to the next epoch. */
async function epoch(chain: Chain, advance: (blocks: number) => Promise<unknown>): Promise<void> {
  await advance((await chain.nextEpochBlock(NETUID)) - (await chain.head()).number);
}

async function setWeights(chain: Chain, wallet: Wallet, netuid: number, weights: Weight[]): Promise<number> {
  const receipt = await chain.setWeights(wallet, netuid, weights);
  if (receipt.kind !== 'plain') return expect.unreachable(`expected plain weights, got ${receipt.kind}`);
  return receipt.setAtBlock;
}
