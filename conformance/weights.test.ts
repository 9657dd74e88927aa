/** @file Groups 8 to 10: the gates of weights, commits by hash, and timelocked commits that the runtime itself decrypts. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Wallet } from '../packages/chain/src/port.ts';
import { SubtensorChain } from '../packages/chain/src/subtensor/subtensor-chain.ts';
import { expectCode } from '../packages/chain/src/testing/expect-code.ts';
import { localBeacon, QUICKNET } from '../packages/chain/src/timelock/index.ts';
import { Harness } from './support/harness.ts';
import { writePulse } from './support/pulses.ts';

const PALLET = 'SubtensorModule';
const TEMPO = 6;

/** The public pulse of drand quicknet, round 1000. */
const ROUND = 1000;
const SIGNATURE = 'b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39';

describe('weights on the runtime', () => {
  const directory = mkdtempSync(join(tmpdir(), 'quasar-conformance-'));
  const harness = new Harness();
  let netuid: number;
  let validator: Wallet;
  let miner: Wallet;
  let uids: { validator: number; miner: number };

  beforeAll(async () => {
    ({ netuid } = await harness.subnet({ Tempo: TEMPO, MinAllowedWeights: 3 }));
    [validator, miner] = (await harness.wallets(2)) as [Wallet, Wallet];
    const [a, b] = await Promise.all([validator, miner].map((wallet) => harness.chain.register(wallet, netuid)));
    uids = { validator: a?.uid ?? -1, miner: b?.uid ?? -1 };
    await harness.chain.addStake(validator, netuid, 500);
    await pastEpoch();
  });
  afterAll(() => {
    harness.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const pastEpoch = async () => {
    const { number } = await harness.chain.head();
    await harness.advance((await harness.chain.nextEpochBlock(netuid)) - number);
  };
  const storedRow = async () =>
    (await harness.state()).get<[number, number][]>(PALLET, 'Weights', netuid, uids.validator);
  const clear = () => harness.write([PALLET, 'Weights', [netuid, uids.validator], []]);
  const vote = [{ uid: 0, weight: 0.25 }];

  it('lists explicit zeros where the subnet demands more weights than there are', async () => {
    const receipt = await harness.chain.setWeights(validator, netuid, [{ uid: uids.miner, weight: 3 }]);
    expect(receipt.kind).toBe('plain');
    expect(await storedRow()).toEqual([
      [0, 0],
      [uids.validator, 0],
      [uids.miner, 65535],
    ]);
    const [row] = await harness.chain.weights(netuid, 1e9);
    expect(row?.weights).toEqual([{ uid: uids.miner, weight: 1 }]);
  });

  it('refuses a version key that is too low, and takes the one the subnet asks for', async () => {
    await harness.rules(netuid, { WeightsVersionKey: 7n });
    const error = await expectCode(
      harness.chain.setWeights(validator, netuid, vote, { versionKey: 6 }),
      'chain.version_key',
    );
    expect(error.data).toEqual({ required: 7 });
    expect((await harness.chain.setWeights(validator, netuid, vote)).kind).toBe('plain');
    const args = { netuid, dests: [0, 1, 2], weights: [1, 1, 1], version_key: 6n };
    await expectCode(harness.send(validator, { pallet: PALLET, name: 'set_weights', args }), 'chain.version_key');
    await harness.rules(netuid, { WeightsVersionKey: 0n });
  });

  it('says when the next weights are taken, as the runtime does', async () => {
    await harness.rules(netuid, { WeightsSetRateLimit: 50n });
    const neuron = (await harness.chain.metagraph(netuid)).neurons[uids.validator];
    const error = await expectCode(harness.chain.setWeights(validator, netuid, vote), 'chain.too_soon');
    expect(error).toMatchObject({ retry: 'later', data: { retryAtBlock: (neuron?.lastUpdateBlock ?? 0) + 50 } });
    const args = { netuid, dests: [0, 1, 2], weights: [1, 1, 1], version_key: 0n };
    await expectCode(harness.send(validator, { pallet: PALLET, name: 'set_weights', args }), 'chain.too_soon');
    await harness.rules(netuid, { WeightsSetRateLimit: 0n });
  });

  it('commits by hash, keeps the salt over a restart, and reveals in the window of the runtime', async () => {
    await clear();
    await harness.rules(netuid, { CommitRevealWeightsEnabled: true });
    const args = { netuid, dests: [0, 1, 2], weights: [1, 1, 1], version_key: 0n };
    const plain = await expectCode(
      harness.send(validator, { pallet: PALLET, name: 'set_weights', args }),
      'chain.refused',
    );
    expect(plain.data).toEqual({ name: 'CommitRevealEnabled' });

    const before = new SubtensorChain({ urls: [harness.url], commitReveal: 'hash', stateDirectory: directory });
    const receipt = await before.setWeights(validator, netuid, [{ uid: uids.miner, weight: 1 }]);
    before.close();
    if (receipt.kind !== 'hash') return expect.unreachable(receipt.kind);
    expect(statSync(join(directory, 'weight-salts.json')).mode & 0o777).toBe(0o600);

    const after = new SubtensorChain({ urls: [harness.url], commitReveal: 'hash', stateDirectory: directory });
    const pending = await after.pendingWeights(netuid);
    expect(pending).toEqual([
      {
        hotkey: validator.hotkey,
        kind: 'hash',
        committedAtBlock: receipt.committedAtBlock,
        expectedRevealBlock: receipt.revealFromBlock,
      },
    ]);
    const stored = await (await harness.state()).get<[string, bigint, bigint, bigint][]>(
      PALLET,
      'WeightCommits',
      netuid,
      validator.hotkey,
    );
    expect(stored[0]?.slice(1).map(Number)).toEqual([
      receipt.committedAtBlock,
      receipt.revealFromBlock,
      receipt.revealUntilBlock,
    ]);
    expect(await after.revealWeights(validator, netuid)).toEqual({ revealed: 0 });
    await harness.advanceTo(receipt.revealFromBlock - 1);
    expect(await after.revealWeights(validator, netuid)).toEqual({ revealed: 1 });
    expect(await storedRow()).toEqual([
      [0, 0],
      [uids.validator, 0],
      [uids.miner, 65535],
    ]);
    expect(await after.pendingWeights(netuid)).toEqual([]);
    expect(await after.revealWeights(validator, netuid)).toEqual({ revealed: 0 });
    after.close();
  });

  it('gives up a commit by hash whose window has passed', async () => {
    const chain = new SubtensorChain({ urls: [harness.url], commitReveal: 'hash', stateDirectory: directory });
    const receipt = await chain.setWeights(validator, netuid, vote);
    if (receipt.kind !== 'hash') return expect.unreachable(receipt.kind);
    await harness.advanceTo(receipt.revealUntilBlock + 1);
    expect(await chain.revealWeights(validator, netuid)).toEqual({ revealed: 0 });
    expect(await chain.revealWeights(validator, netuid)).toEqual({ revealed: 0 });
    chain.close();
  });

  it('locks weights in time: the runtime decrypts our ciphertext, and Weights hold our row', async () => {
    await clear();
    const beacon = localBeacon(new Uint8Array(32).fill(9));
    const chain = new SubtensorChain({ urls: [harness.url], beacon: { ...QUICKNET, publicKey: beacon.publicKey } });
    const receipt = await chain.setWeights(validator, netuid, [
      { uid: uids.miner, weight: 2 },
      { uid: 0, weight: 1 },
    ]);
    if (receipt.kind !== 'timelocked') return expect.unreachable(receipt.kind);
    const [pending] = await chain.pendingWeights(netuid);
    expect(pending).toMatchObject({ hotkey: validator.hotkey, kind: 'timelocked' });
    expect(await storedRow()).toEqual([]);
    await writePulse(harness, beacon, receipt.revealRound);
    await harness.advanceTo(receipt.expectedRevealBlock - 1);
    expect(await storedRow()).toEqual([]);
    await harness.advance(1);
    expect(await storedRow()).toEqual([
      [0, 32768],
      [uids.validator, 0],
      [uids.miner, 65535],
    ]);
    expect(await chain.pendingWeights(netuid)).toEqual([]);
    chain.close();
  });

  it('locks to drand itself: the public pulse of round 1000 opens it', async () => {
    await clear();
    // A clock by which round 1000 is the one to lock to: due in the next block, half a second late.
    const state = await harness.state();
    const nowMs = Number(await state.get<bigint>('Timestamp', 'Now'));
    const dueMs = nowMs + (await harness.chain.blockTimeMs());
    const genesisMs = dueMs - ROUND * QUICKNET.periodMs - 500;
    const chain = new SubtensorChain({ urls: [harness.url], beacon: { ...QUICKNET, genesisMs } });
    const receipt = await chain.setWeights(validator, netuid, [{ uid: uids.miner, weight: 1 }]);
    if (receipt.kind !== 'timelocked') return expect.unreachable(receipt.kind);
    chain.close();
    expect(receipt.revealRound).toBe(ROUND);
    await writePulse(harness, { signature: () => Buffer.from(SIGNATURE, 'hex') }, ROUND);
    await harness.advanceTo(receipt.expectedRevealBlock);
    expect((await storedRow()).find(([uid]) => uid === uids.miner)).toEqual([uids.miner, 65535]);
  });

  it('refuses an eleventh commit that waits', async () => {
    const commits = Array.from({ length: 10 }, (_, i) => [`0x${'00'.repeat(31)}0${i}`, 1n, 1n, 1n]);
    const { number } = await harness.chain.head();
    const state = await harness.state();
    const alive = commits.map(([hash]) => [hash, BigInt(number), BigInt(number + 1), BigInt(number + 2)]);
    expect(state.runtime.hasStorage(PALLET, 'WeightCommits')).toBe(true);
    await harness.write([PALLET, 'WeightCommits', [netuid, validator.hotkey], alive]);
    const chain = new SubtensorChain({ urls: [harness.url], commitReveal: 'hash' });
    const error = await expectCode(chain.setWeights(validator, netuid, vote), 'chain.too_many_commits');
    expect(error.retry).toBe('later');
    chain.close();
    const args = { netuid, commit_hash: `0x${'11'.repeat(32)}` };
    await expectCode(
      harness.send(validator, { pallet: PALLET, name: 'commit_weights', args }),
      'chain.too_many_commits',
    );
  });

  it('asks for more of a neuron without a permit, and for a registration of a stranger', async () => {
    await harness.rules(netuid, { CommitRevealWeightsEnabled: false });
    const [newcomer, stranger] = (await harness.wallets(2)) as [Wallet, Wallet];
    await harness.chain.register(newcomer, netuid);
    await expectCode(harness.chain.setWeights(newcomer, netuid, vote), 'chain.no_permit');
    await expectCode(harness.chain.setWeights(stranger, netuid, vote), 'chain.not_registered');
    const call = {
      pallet: PALLET,
      name: 'set_weights',
      args: { netuid, dests: [0, 1, 2], weights: [1, 1, 1], version_key: 0n },
    };
    const refusals = await Promise.allSettled([harness.send(newcomer, call), harness.send(stranger, call)]);
    expect(refusals.map((r) => r.status === 'rejected' && r.reason.code)).toEqual([
      'chain.no_permit',
      'chain.not_registered',
    ]);
  });
});
