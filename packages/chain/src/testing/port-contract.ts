/**
 * @file What every chain does alike, a development chain and a real runtime: one shared chain, one subnet, fresh wallets.
 *
 * `contract.ts` pins down the rules of the dev chain block by block; this suite holds both to the port.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Chain, Head, Wallet } from '../port.ts';
import { expectCode } from './expect-code.ts';

export interface SubnetUnderTest {
  chain: Chain;
  /** Open for registration, plain weights without a rate limit, at least three uids more to give, a short tempo. */
  netuid: number;
  /** Fresh wallets, each with 1000 TAO or more. */
  wallets(count: number): Promise<Wallet[]>;
  /** Makes this many blocks. */
  advance(blocks: number): Promise<unknown>;
  /** Makes blocks until everything that was committed is revealed. */
  revealCommitments(): Promise<unknown>;
  /** From now on `setWeights` hides them in this way. */
  hideWeights?(kind: 'hash' | 'timelocked'): Promise<unknown>;
  close(): Promise<void>;
}

/** What a chain can do beyond what all can. */
export interface PortFeatures {
  /** Ways to hide weights; each needs `hideWeights`. */
  hiddenWeights?: readonly ('hash' | 'timelocked')[];
}

export function describePortContract(
  name: string,
  open: () => Promise<SubnetUnderTest>,
  { hiddenWeights = [] }: PortFeatures = {},
): void {
  describe(`port contract: ${name}`, () => {
    let subject: SubnetUnderTest;
    let chain: Chain;
    let netuid: number;

    beforeAll(async () => {
      subject = await open();
      ({ chain, netuid } = subject);
    });
    afterAll(() => subject?.close());

    const registered = async (count: number) => {
      const wallets = await subject.wallets(count);
      const uids = await Promise.all(wallets.map(async (wallet) => (await chain.register(wallet, netuid)).uid));
      return wallets.map((wallet, i) => ({ wallet, uid: uids[i] as number }));
    };
    const neuron = async (uid: number, atBlock?: number) => (await chain.metagraph(netuid, atBlock)).neurons[uid];
    const pastEpoch = async () => {
      const { number } = await chain.head();
      await subject.advance((await chain.nextEpochBlock(netuid)) - number);
    };

    it('names itself by its genesis', async () => {
      const identity = await chain.identity();
      expect(identity.genesis).toBe(await chain.blockHash(0));
      expect(identity.genesis).toMatch(/^0x[0-9a-f]{64}$/);
      expect(Number.isInteger(identity.specVersion)).toBe(true);
    });

    it('numbers blocks densely, with hashes that stay, and has none for a block that does not exist', async () => {
      const first = await chain.head();
      expect(await chain.blockHash(first.number + 1)).toBeNull();
      await subject.advance(2);
      const last = await chain.head();
      expect(last.number).toBe(first.number + 2);
      expect(await chain.blockHash(first.number)).toBe(first.hash);
      expect((await chain.bestHead()).number).toBeGreaterThanOrEqual(last.number);
    });

    it('follows heads from the current one without gaps until aborted', async () => {
      const { number } = await chain.head();
      const abort = new AbortController();
      const seen: Head[] = [];
      for await (const head of chain.heads(abort.signal)) {
        seen.push(head);
        if (seen.length === 1) await subject.advance(3);
        if (seen.length === 4) abort.abort();
      }
      expect(seen.map((head) => head.number)).toEqual([0, 1, 2, 3].map((n) => number + n));
      for (const head of seen) expect(await chain.blockHash(head.number)).toBe(head.hash);
      for await (const _ of chain.heads(AbortSignal.abort())) expect.unreachable();
    });

    it('registers several at once with uids of their own, once each', async () => {
      const entered = await registered(3);
      const uids = entered.map(({ uid }) => uid);
      expect(new Set(uids).size).toBe(3);
      const { neurons, atBlock } = await chain.metagraph(netuid);
      expect(neurons.map((n) => n.uid)).toEqual(neurons.map((_, i) => i));
      for (const { wallet, uid } of entered) {
        expect(neurons[uid]).toMatchObject({ hotkey: wallet.hotkey, coldkey: wallet.address, incentive: 0 });
        expect(neurons[uid]?.registeredAtBlock).toBeLessThanOrEqual(atBlock);
        expect(await chain.register(wallet, netuid)).toEqual({ uid });
      }
      expect((await chain.metagraph(netuid)).neurons).toHaveLength(neurons.length);
    });

    it('lets a coldkey pay for and own a hotkey', async () => {
      const [hotkey, coldkey] = (await subject.wallets(2)) as [Wallet, Wallet];
      const cost = await chain.registrationCost(netuid);
      const [hotkeyHad, coldkeyHad] = [await chain.balance(hotkey.address), await chain.balance(coldkey.address)];
      const { uid } = await chain.register(hotkey, netuid, { coldkey });
      await chain.addStake(hotkey, netuid, 10, { coldkey });
      expect(await neuron(uid)).toMatchObject({ hotkey: hotkey.hotkey, coldkey: coldkey.address });
      expect(await chain.balance(hotkey.address)).toBe(hotkeyHad);
      const spent = coldkeyHad - (await chain.balance(coldkey.address));
      expect(spent).toBeGreaterThanOrEqual(10 + cost - 1e-6);
      expect(spent).toBeLessThan(10 + cost + 0.1);
    });

    it('adds stake, and refuses what cannot be', async () => {
      const [{ wallet, uid }] = (await registered(1)) as [{ wallet: Wallet; uid: number }];
      const [stranger] = (await subject.wallets(1)) as [Wallet];
      const before = (await neuron(uid))?.stake ?? Number.NaN;
      await chain.addStake(wallet, netuid, 20);
      expect((await neuron(uid))?.stake).toBeGreaterThan(before);
      await expectCode(chain.addStake(stranger, netuid, 1), 'chain.not_registered');
      await expectCode(chain.addStake(wallet, netuid, 1e7), 'chain.insufficient_balance');
      for (const amount of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        await expectCode(chain.addStake(wallet, netuid, amount), 'chain.invalid_call');
      }
    });

    it('reveals commitments after their time, keeps their history, and shows none before', async () => {
      const [{ wallet, uid }] = (await registered(1)) as [{ wallet: Wallet; uid: number }];
      const mine = async (block: number) =>
        (await chain.commitments(netuid, block)).filter((commitment) => commitment.hotkey === wallet.hotkey);
      const first = await chain.commit(wallet, netuid, 'first: größer als ASCII', { blocksUntilReveal: 3 });
      expect(first.expectedRevealBlock).toBe(first.committedAtBlock + 3);
      expect(await mine(1e9)).toEqual([]);
      await subject.revealCommitments();
      const second = await chain.commit(wallet, netuid, 'second', { blocksUntilReveal: 1 });
      await subject.revealCommitments();
      const all = await mine(1e9);
      expect(all.map(({ uid, data }) => ({ uid, data }))).toEqual([
        { uid, data: 'first: größer als ASCII' },
        { uid, data: 'second' },
      ]);
      const [one, two] = all.map((commitment) => commitment.revealedAtBlock) as [number, number];
      expect(one).toBeGreaterThan(first.committedAtBlock);
      expect(two).toBeGreaterThan(second.committedAtBlock);
      expect(await mine(one)).toEqual(all.slice(0, 1));
      expect(await mine(one - 1)).toEqual([]);
    });

    it('refuses commitments of strangers, of no text and of too much', async () => {
      const [stranger] = (await subject.wallets(1)) as [Wallet];
      await expectCode(chain.commit(stranger, netuid, 'x'), 'chain.not_registered');
      await expectCode(chain.commit(stranger, netuid, ''), 'chain.commitment_invalid');
      await expectCode(chain.commit(stranger, netuid, 'half \ud83d'), 'chain.commitment_invalid');
      await expectCode(chain.commit(stranger, netuid, 'x'.repeat(1025)), 'chain.commitment_too_large');
    });

    it('sets weights of a permitted validator, reads them back, and remembers the rows of past blocks', async () => {
      const [validator, ...others] = (await registered(3)) as { wallet: Wallet; uid: number }[];
      if (!validator) return expect.unreachable();
      const [a, b] = others.map(({ uid }) => uid) as [number, number];
      await chain.addStake(validator.wallet, netuid, 500);
      await pastEpoch();
      expect((await neuron(validator.uid))?.validatorPermit).toBe(true);
      const size = (await chain.metagraph(netuid)).neurons.length;
      const unknown = [
        { uid: size, weight: 1 },
        { uid: a, weight: 1 },
        { uid: size + 1, weight: 1 },
      ];
      const error = await expectCode(chain.setWeights(validator.wallet, netuid, unknown), 'chain.weights_invalid');
      const paths = (error.data as { issues: { path: string }[] }).issues.map((issue) => issue.path);
      expect(paths).toEqual(['params/weights/0/uid', 'params/weights/2/uid']);

      const receipt = await chain.setWeights(validator.wallet, netuid, [
        { uid: a, weight: 0.9 },
        { uid: b, weight: 0.1 },
      ]);
      if (receipt.kind !== 'plain') return expect.unreachable(`expected plain weights, got ${receipt.kind}`);
      const rowAt = async (block: number) =>
        (await chain.weights(netuid, block)).find((row) => row.validatorUid === validator.uid);
      const row = await rowAt(receipt.setAtBlock);
      expect(row).toMatchObject({ hotkey: validator.wallet.hotkey, setAtBlock: receipt.setAtBlock });
      expect(row?.weights.map(({ uid }) => uid)).toEqual([a, b].sort((x, y) => x - y));
      const fraction = row?.weights.find(({ uid }) => uid === a)?.weight ?? 0;
      expect(Math.abs(fraction - 0.9)).toBeLessThan(1 / 65535);
      expect(await rowAt(receipt.setAtBlock - 1)).toBeUndefined();
      expect((await neuron(validator.uid))?.lastUpdateBlock).toBe(receipt.setAtBlock);

      const later = await chain.setWeights(validator.wallet, netuid, [{ uid: b, weight: 7 }]);
      if (later.kind !== 'plain') return expect.unreachable();
      expect((await rowAt(later.setAtBlock))?.weights).toEqual([{ uid: b, weight: 1 }]);
      expect((await rowAt(later.setAtBlock - 1))?.weights).toHaveLength(2);
      await pastEpoch();
      expect((await neuron(b))?.incentive).toBeGreaterThan(0);
      expect(await chain.pendingWeights(netuid)).toEqual([]);
      expect(await chain.revealWeights(validator.wallet, netuid)).toEqual({ revealed: 0 });
    });

    it('refuses weights that the chain would refuse', async () => {
      const [entered, other] = await registered(2);
      if (!entered || !other) return expect.unreachable();
      const { wallet, uid } = entered;
      const [stranger] = (await subject.wallets(1)) as [Wallet];
      await expectCode(chain.setWeights(stranger, netuid, [{ uid, weight: 1 }]), 'chain.not_registered');
      await expectCode(chain.setWeights(wallet, netuid, [{ uid: other.uid, weight: 1 }]), 'chain.no_permit');
      for (const weights of [[], [{ uid, weight: 0 }], [{ uid, weight: Number.NaN }], [{ uid: 1.5, weight: 1 }]]) {
        await expectCode(chain.setWeights(wallet, netuid, weights), 'chain.weights_invalid');
      }
    });

    it('previews a write without sending it, and refuses as the write would', async () => {
      const [wallet] = (await subject.wallets(1)) as [Wallet];
      const stake = { method: 'addStake', params: { netuid, amount: 1 } } as const;
      await expectCode(chain.preview(wallet.address, stake), 'chain.not_registered');
      const size = (await chain.metagraph(netuid)).neurons.length;
      const preview = await chain.preview(wallet.address, { method: 'register', params: { netuid } });
      expect(preview).toMatchObject({ arguments: { netuid }, signer: wallet.address });
      expect(preview.call).toMatch(/^\w+\.\w+$/);
      expect(preview.encoded).toMatch(/^0x([0-9a-f]{2})+$/);
      await subject.advance(1);
      expect((await chain.metagraph(netuid)).neurons).toHaveLength(size);
    });

    it('shows the metagraph of past blocks', async () => {
      const { number } = await chain.head();
      const before = (await chain.metagraph(netuid)).neurons.length;
      await registered(1);
      expect((await chain.metagraph(netuid)).neurons).toHaveLength(before + 1);
      const past = await chain.metagraph(netuid, number);
      expect(past.atBlock).toBe(number);
      expect(past.neurons).toHaveLength(before);
    });

    it('tells the rules of the subnet and when its next epoch runs', async () => {
      const rules = await chain.hyperparameters(netuid);
      const { number } = await chain.head();
      const next = await chain.nextEpochBlock(netuid);
      expect(next).toBeGreaterThan(number);
      expect(next).toBeLessThanOrEqual(number + rules.tempo + 1);
      expect(rules.commitRevealEnabled).toBe(false);
      for (const fraction of [rules.kappa, rules.bondsMovingAverage, rules.bondsPenalty]) {
        expect(fraction).toBeGreaterThanOrEqual(0);
        expect(fraction).toBeLessThanOrEqual(1);
      }
    });

    it('refuses parameters of the wrong shape, and a signature by another key', async () => {
      const [wallet, other] = (await subject.wallets(2)) as [Wallet, Wallet];
      for (const bad of [-1, 1.5, Number.NaN, 65536]) {
        await expectCode(chain.metagraph(bad), 'chain.invalid_call');
        await expectCode(chain.register(wallet, bad), 'chain.invalid_call');
      }
      await expectCode(chain.blockHash(-1), 'chain.invalid_call');
      await expectCode(chain.commitments(netuid, 0.5), 'chain.invalid_call');
      const forger: Wallet = {
        hotkey: other.hotkey,
        address: other.address,
        sign: (message: Uint8Array) => wallet.sign(message),
      };
      await expectCode(chain.register(forger, netuid), 'chain.bad_signature');
      expect((await chain.metagraph(netuid)).neurons.map((n) => n.hotkey)).not.toContain(other.hotkey);
    });

    it('has no neurons on a netuid that nobody registered on', async () => {
      expect((await chain.metagraph(4000)).neurons).toEqual([]);
    });

    // Last: it changes how the chain takes weights.
    it.each([...hiddenWeights])('hides weights (%s) until the epoch of their reveal', async (kind) => {
      await subject.hideWeights?.(kind);
      const [validator, target] = await registered(2);
      if (!validator || !target) return expect.unreachable();
      const { wallet } = validator;
      await chain.addStake(wallet, netuid, 500);
      await pastEpoch();
      const receipt = await chain.setWeights(wallet, netuid, [{ uid: target.uid, weight: 1 }]);
      if (receipt.kind !== kind) return expect.unreachable(`expected ${kind}, got ${receipt.kind}`);
      const { committedAtBlock } = receipt;
      const due = receipt.kind === 'hash' ? receipt.revealFromBlock : receipt.expectedRevealBlock;
      expect(due).toBeGreaterThan(committedAtBlock);
      const pending = async () => (await chain.pendingWeights(netuid)).filter((one) => one.hotkey === wallet.hotkey);
      expect(await pending()).toMatchObject([{ kind, committedAtBlock, expectedRevealBlock: due }]);
      const row = async () => (await chain.weights(netuid, 1e9)).find((one) => one.hotkey === wallet.hotkey);
      await subject.advance(due - 1 - (await chain.head()).number);
      expect(await row()).toBeUndefined();
      await subject.advance(1);
      if (kind === 'hash') expect(await chain.revealWeights(wallet, netuid)).toEqual({ revealed: 1 });
      else await subject.revealCommitments();
      expect((await row())?.weights.filter(({ weight }) => weight > 0)).toEqual([{ uid: target.uid, weight: 1 }]);
      expect(await pending()).toEqual([]);
    });
  });
}
