/** @file Group 7: commitments on the runtime, in the open and timelocked, and their limits. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Wallet } from '../packages/chain/src/port.ts';
import { SubtensorChain } from '../packages/chain/src/subtensor/subtensor-chain.ts';
import { expectCode } from '../packages/chain/src/testing/expect-code.ts';
import { localBeacon, QUICKNET, TIMELOCKED_TEXT_MAX_BYTES } from '../packages/chain/src/timelock/index.ts';
import { Harness } from './support/harness.ts';
import { revealCommitments } from './support/pulses.ts';

const PALLET = 'Commitments';

describe('commitments on the runtime', () => {
  const harness = new Harness();
  const beacon = localBeacon(new Uint8Array(32).fill(3));
  const chain = new SubtensorChain({ urls: [harness.url], beacon: { ...QUICKNET, publicKey: beacon.publicKey } });
  let netuid: number;
  let wallet: Wallet;

  beforeAll(async () => {
    ({ netuid } = await harness.subnet());
    [wallet] = (await harness.wallets(1)) as [Wallet];
    await chain.register(wallet, netuid);
  });
  afterAll(() => {
    chain.close();
    harness.close();
  });
  const set = (...info: unknown[]) =>
    harness.send(wallet, { pallet: PALLET, name: 'set_commitment', args: { netuid, info } });
  const texts = async () => (await chain.commitments(netuid, 1e9)).map(({ data }) => data);

  it('keeps one in the open, of any length, and replaces it', async () => {
    for (const data of ['x', 'a'.repeat(64), 'größer', 'b'.repeat(128), 'c'.repeat(512)]) {
      const receipt = await chain.commit(wallet, netuid, data, { blocksUntilReveal: 0 });
      expect(receipt.expectedRevealBlock).toBe(receipt.committedAtBlock);
      expect(await chain.commitments(netuid, 1e9)).toEqual([
        { uid: 1, hotkey: wallet.hotkey, revealedAtBlock: receipt.committedAtBlock, data },
      ]);
    }
    await expectCode(
      chain.commit(wallet, netuid, 'd'.repeat(513), { blocksUntilReveal: 0 }),
      'chain.commitment_too_large',
    );
    const hash = `0x${'5a'.repeat(32)}`;
    await set({ type: 'Sha256', value: hash });
    expect(await texts()).toEqual([]);
    const stored = await (await harness.state()).get<{ info: unknown[] }>(
      PALLET,
      'CommitmentOf',
      netuid,
      wallet.hotkey,
    );
    expect(stored.info).toEqual([{ type: 'Sha256', value: hash }]);
  });

  it('reveals the longest text that fits, and refuses a longer one', async () => {
    const longest = 'ü'.repeat(Math.floor(TIMELOCKED_TEXT_MAX_BYTES / 2));
    await chain.commit(wallet, netuid, longest);
    expect(await texts()).toEqual([]);
    await revealCommitments(harness, beacon, netuid);
    expect(await texts()).toEqual([longest]);
    await expectCode(
      chain.commit(wallet, netuid, 'e'.repeat(TIMELOCKED_TEXT_MAX_BYTES + 1)),
      'chain.commitment_too_large',
    );
  });

  it('keeps the newest ten reveals', async () => {
    const old = Array.from({ length: 10 }, (_, i) => [Buffer.from([8, 48, 48 + i]), BigInt(i + 2)]);
    await harness.write([PALLET, 'RevealedCommitments', [netuid, wallet.hotkey], old]);
    await chain.commit(wallet, netuid, 'eleventh');
    await revealCommitments(harness, beacon, netuid);
    expect(await texts()).toEqual(['01', '02', '03', '04', '05', '06', '07', '08', '09', 'eleventh']);
  });

  it('refuses more than three fields, and more than the space of an epoch', async () => {
    const raw = { type: 'Raw2', value: '0x6162' };
    await set(raw, raw, raw);
    await expectCode(set(raw, raw, raw, raw), 'chain.refused');
    const usage = async () =>
      (await harness.state()).get<{ last_epoch: bigint; used_space: bigint }>(
        PALLET,
        'UsedSpaceOf',
        netuid,
        wallet.hotkey,
      );
    const { last_epoch } = await usage();
    await harness.write([PALLET, 'UsedSpaceOf', [netuid, wallet.hotkey], { last_epoch, used_space: 3000n }]);
    await chain.commit(wallet, netuid, 'the thirty-first', { blocksUntilReveal: 0 });
    const error = await expectCode(
      chain.commit(wallet, netuid, 'the thirty-second', { blocksUntilReveal: 0 }),
      'chain.space_full',
    );
    expect(error.retry).toBe('later');
    expect(await texts()).toContain('the thirty-first');
  });
});
