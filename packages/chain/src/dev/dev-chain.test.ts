/** @file What only the dev chain has: its clock, its file, its hashes, and failing storage. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonicalJson, sha256Hex } from '@quasar/base';
import Database from 'libsql';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Wallet } from '../port.ts';
import { expectCode } from '../testing/expect-code.ts';
import { walletFromSeed } from '../wallet/index.ts';
import type { Call } from './call.ts';
import { DevChain } from './dev-chain.ts';
import { signExtrinsic } from './extrinsic.ts';
import type { DevChainOptions } from './options.ts';

const NETUID = 24;
const alice = walletFromSeed(new Uint8Array(32).fill(1));
const bob = walletFromSeed(new Uint8Array(32).fill(2));

const directory = mkdtempSync(join(tmpdir(), 'quasar-chain-'));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
const freshPath = () => join(directory, `${files++}`, 'chain.db');

function open(options: Partial<DevChainOptions> = {}): DevChain {
  const chain = DevChain.open({ path: ':memory:', blockTimeMs: 0, weightsRateLimitBlocks: 0, tempo: 5, ...options });
  onTestFinished(() => chain.close());
  return chain;
}

const openCode = (options: Partial<DevChainOptions>, code: string) => expectCode((async () => open(options))(), code);

describe('the clock', () => {
  it('makes blocks by itself and includes what waits', async () => {
    const chain = open({ blockTimeMs: 5 });
    const abort = new AbortController();
    const seen: number[] = [];
    for await (const head of chain.heads(abort.signal)) {
      seen.push(head.number);
      if (head.number === 3) expect(await chain.register(alice, NETUID)).toEqual({ uid: 0 });
      if (head.number >= 8) abort.abort();
    }
    expect(seen).toEqual(seen.map((_, i) => (seen[0] as number) + i));
    expect((await chain.metagraph(NETUID)).neurons).toHaveLength(1);
  });

  it('on demand puts the calls of one tick into one block, and makes none for refused calls', async () => {
    const chain = open();
    await Promise.all([chain.register(alice, NETUID), chain.register(bob, NETUID)]);
    expect((await chain.head()).number).toBe(1);
    await expectCode(chain.setWeights(alice, NETUID, [{ uid: 1, weight: 1 }]), 'chain.no_permit');
    expect((await chain.head()).number).toBe(1);
  });
});

describe('the file', () => {
  it('goes on where it stopped', async () => {
    const path = freshPath();
    const first = open({ path });
    await first.register(alice, NETUID);
    await first.addStake(alice, NETUID, 3);
    await first.setWeights(alice, NETUID, [{ uid: 0, weight: 1 }]);
    await first.commit(alice, NETUID, 'still hidden');
    const before = { head: await first.head(), genesis: first.genesis, graph: await first.metagraph(NETUID) };
    first.close();
    first.close();

    const second = open({ path });
    expect({ head: await second.head(), genesis: second.genesis, graph: await second.metagraph(NETUID) }).toEqual(
      before,
    );
    expect(await second.commitments(NETUID, 100)).toEqual([]);
    const next = await second.advance(1);
    expect(next.number).toBe(before.head.number + 1);
    expect((await second.commitments(NETUID, 100)).map((c) => c.data)).toEqual(['still hidden']);
  });

  it('keeps bonds, permits and what epochs owe: a chain that was stopped pays as one that was not', async () => {
    const validators = [1, 2, 3].map((n) => walletFromSeed(new Uint8Array(32).fill(n)));
    const play = async (options: { path: string; stops: boolean }) => {
      let chain = open({ path: options.path, yumaVersion: 2 });
      for (const wallet of validators) await chain.register(wallet, NETUID);
      for (const [i, wallet] of validators.entries()) await chain.addStake(wallet, NETUID, 10 * (i + 1));
      for (const king of [1, 2, 0, 0]) {
        await chain.advance(7);
        for (const [i, wallet] of validators.entries()) {
          const weights = [0, 1, 2].map((uid) => ({ uid, weight: uid === king ? 5 + i : 1 }));
          await chain.setWeights(wallet, NETUID, weights);
        }
        if (!options.stops) continue;
        chain.close();
        chain = open({ path: options.path, yumaVersion: 2 });
      }
      return (await chain.metagraph(NETUID, (await chain.advance(12)).number)).neurons;
    };
    const neurons = await play({ path: freshPath(), stops: true });
    expect(neurons).toEqual(await play({ path: ':memory:', stops: false }));
    expect(new Set(neurons.map((neuron) => neuron.dividends)).size).toBe(3);
  });

  it('has one owner at a time', async () => {
    const path = freshPath();
    const chain = open({ path });
    const error = await openCode({ path }, 'chain.locked');
    expect(error.retry).toBe('later');
    chain.close();
    await open({ path }).advance(1);
  });

  it('is refused when it is not ours', async () => {
    const text = join(directory, 'text.db');
    writeFileSync(text, 'not a database '.repeat(500));
    await openCode({ path: text }, 'chain.database_invalid');
    const foreign = join(directory, 'foreign.db');
    new Database(foreign).exec('CREATE TABLE t (a)');
    await openCode({ path: foreign }, 'chain.database_invalid');
    await openCode({ path: directory }, 'chain.database_invalid');
  });

  it('is refused when an older version made it, and says how to begin anew', async () => {
    const path = freshPath();
    open({ path }).close();
    new Database(path).exec('PRAGMA user_version = 4');
    const { message, hint } = await openCode({ path }, 'chain.database_invalid');
    expect(message).toContain('has schema version 4');
    expect(hint).toContain('quasar up --fresh');
  });

  it('is opened with sensible options only', async () => {
    const bad = { blockTimeMs: -1, blocksUntilReveal: 0.5, maxUids: 0 };
    const error = await openCode(bad, 'chain.invalid_options');
    const { issues } = error.data as { issues: { path: string }[] };
    expect(issues.map((issue) => issue.path).sort()).toEqual(['blockTimeMs', 'blocksUntilReveal', 'maxUids']);
    await openCode({ minBurn: 2, maxBurn: 1 }, 'chain.invalid_options');
    await openCode({ path: '' }, 'chain.invalid_options');
  });

  it('is closed for good', async () => {
    const chain = open();
    const heads = chain.heads(new AbortController().signal)[Symbol.asyncIterator]();
    await heads.next();
    const waiting = expectCode(heads.next(), 'chain.closed');
    chain.close();
    await waiting;
    await expectCode(chain.head(), 'chain.closed');
    await expectCode(chain.register(alice, NETUID), 'chain.closed');
    await expectCode(chain.advance(1), 'chain.closed');
  });
});

describe('block hashes', () => {
  it('follow from the secret, the parent, the number and the extrinsics', async () => {
    const path = freshPath();
    const chain = open({ path });
    await Promise.all([chain.register(alice, NETUID), chain.register(bob, NETUID)]);
    await chain.advance(1);
    const hashes = await Promise.all([0, 1, 2].map((n) => chain.blockHash(n)));
    const { genesis } = chain;
    chain.close();

    const sql = new Database(path);
    const { value: secret } = sql.prepare("SELECT value FROM meta WHERE key = 'secret'").get([]) as { value: string };
    const rows = sql.prepare('SELECT * FROM extrinsics ORDER BY block, position').all([]) as {
      signer: string;
      nonce: string;
      at_block: number;
      call: string;
      signature: string;
    }[];
    const extrinsics = rows.map((row) => ({
      genesis,
      signer: row.signer,
      nonce: row.nonce,
      atBlock: row.at_block,
      signature: row.signature,
      call: JSON.parse(row.call),
    }));
    expect(extrinsics).toHaveLength(2);
    const hash = (content: object) => `0x${sha256Hex(canonicalJson(content))}`;
    expect(hashes[0]).toBe(hash({ secret, number: 0 }));
    expect(hashes[1]).toBe(hash({ secret, parent: hashes[0], number: 1, extrinsics }));
    expect(hashes[2]).toBe(hash({ secret, parent: hashes[1], number: 2, extrinsics: [] }));
  });

  it('differ between chains', async () => {
    const [a, b] = [await open().advance(1), await open().advance(1)];
    expect(a.hash).not.toBe(b.hash);
  });
});

describe('rules', () => {
  it('can be changed while the chain runs', async () => {
    const chain = open();
    await chain.register(alice, NETUID);
    await chain.register(bob, NETUID);
    await chain.addStake(alice, NETUID, 5);
    await chain.advance(5);
    chain.configure({ minAllowedWeights: 2, kappa: 0.25 });
    expect(await chain.hyperparameters(NETUID)).toMatchObject({ minAllowedWeights: 2, kappa: 0.25, tempo: 5 });
    const short = { method: 'setWeights', params: { netuid: NETUID, weights: [{ uid: 1, weight: 1 }] } } as const;
    const at = { genesis: chain.genesis, atBlock: (await chain.head()).number };
    const call = { ...short, params: { ...short.params, weights: [...short.params.weights] } };
    await expectCode(chain.submit(await signExtrinsic(alice, call, at)), 'chain.weights_invalid');
    await chain.setWeights(alice, NETUID, [{ uid: 1, weight: 1 }]);
    expect(() => chain.configure({ tempo: 0 })).toThrow(expect.objectContaining({ code: 'chain.invalid_options' }));
    expect((await chain.hyperparameters(NETUID)).tempo).toBe(5);
  });
});

describe('what was hidden', () => {
  async function submit(chain: DevChain, wallet: Wallet, call: Call): Promise<void> {
    const at = { genesis: chain.genesis, atBlock: (await chain.head()).number };
    await chain.submit(await signExtrinsic(wallet, call, at));
  }
  const junk = `0x${'5a'.repeat(300)}`;

  it('opens after a restart as well', async () => {
    const path = freshPath();
    const options = { path, commitReveal: 'timelocked', tempo: 5 } as const;
    const first = open(options);
    await first.register(alice, NETUID);
    await first.setWeights(alice, NETUID, [{ uid: 0, weight: 1 }]);
    await first.commit(alice, NETUID, 'still hidden', { blocksUntilReveal: 9 });
    const pending = await first.pendingWeights(NETUID);
    expect(pending).toHaveLength(1);
    first.close();
    const second = open(options);
    expect(await second.pendingWeights(NETUID)).toEqual(pending);
    await second.advance(20);
    expect((await second.weights(NETUID, 100)).map((row) => row.setAtBlock)).toEqual([6]);
    expect(await second.commitments(NETUID, 100)).toMatchObject([{ data: 'still hidden', revealedAtBlock: 12 }]);
    expect(second.events(NETUID)).toEqual([]);
  });

  it('and cannot be opened is dropped with a record, and the chain goes on', async () => {
    const chain = open({ commitReveal: 'timelocked', tempo: 5 });
    await chain.register(alice, NETUID);
    await chain.register(bob, NETUID);
    await submit(chain, alice, {
      method: 'commitTimelocked',
      params: { netuid: NETUID, ciphertext: junk, round: 4 },
    });
    await submit(chain, alice, {
      method: 'commitTimelockedWeights',
      params: { netuid: NETUID, ciphertext: junk, round: 6 },
    });
    await chain.advance(10);
    expect(await chain.commitments(NETUID, 100)).toEqual([]);
    expect(await chain.weights(NETUID, 100)).toEqual([]);
    expect(await chain.pendingWeights(NETUID)).toEqual([]);
    const events = chain.events(NETUID);
    expect(events.map(({ block, kind, hotkey }) => [block, kind, hotkey])).toEqual([
      [4, 'commitment dropped', alice.hotkey],
      [6, 'weights dropped', alice.hotkey],
    ]);
    for (const { detail } of events) expect(detail).toMatch(/^chain\.timelock_invalid: /);
  });

  it("is dropped when it is another's, locked to a round that comes too late, or fails the gates", async () => {
    const chain = open({ commitReveal: 'timelocked', tempo: 5 });
    await chain.register(alice, NETUID);
    await chain.register(bob, NETUID);
    const weights = [{ uid: 0, weight: 1 }];
    const self = { method: 'setWeights', params: { netuid: NETUID, weights } } as const;
    const { arguments: stolen } = await chain.preview(alice.address, self);
    await submit(chain, bob, { method: 'commitTimelockedWeights', params: stolen } as Call);
    await submit(chain, bob, {
      method: 'commitTimelockedWeights',
      params: { netuid: NETUID, ciphertext: junk, round: 1000 },
    });
    await chain.setWeights(alice, NETUID, [{ uid: 1, weight: 1 }]);
    await chain.advance(20);
    expect(await chain.weights(NETUID, 100)).toEqual([]);
    const details = chain.events(NETUID).map(({ hotkey, detail }) => [hotkey, detail.split(/[:,]/)[0]]);
    expect(details).toEqual([
      [bob.hotkey, 'chain.refused'],
      [alice.hotkey, 'chain.no_permit'],
      [bob.hotkey, 'not revealed within their epoch'],
    ]);
  });

  it('by hash is kept from a wrong salt, and plain weights are refused', async () => {
    const chain = open({ commitReveal: 'hash', tempo: 5 });
    await chain.register(alice, NETUID);
    await chain.setWeights(alice, NETUID, [{ uid: 0, weight: 1 }]);
    await chain.advance(5);
    const reveal = (salt: number[]): Call => ({
      method: 'revealWeights',
      params: { netuid: NETUID, uids: [0], values: [65535], salt, versionKey: 0 },
    });
    const wrong = await expectCode(submit(chain, alice, reveal([1, 2])), 'chain.refused');
    expect(wrong.data).toEqual({ name: 'InvalidRevealCommitHashNotMatch' });
    const plain: Call = { method: 'setWeights', params: { netuid: NETUID, weights: [{ uid: 0, weight: 1 }] } };
    expect((await expectCode(submit(chain, alice, plain), 'chain.refused')).data).toEqual({
      name: 'CommitRevealEnabled',
    });
    expect(await chain.revealWeights(alice, NETUID)).toEqual({ revealed: 1 });
  });
});

describe('failing storage', () => {
  it('leaves nothing of a block that fails half way', async () => {
    const path = freshPath();
    const chain = open({ path });
    await chain.register(alice, NETUID);
    const saboteur = new Database(path);
    saboteur.exec("CREATE TRIGGER no_block BEFORE INSERT ON blocks BEGIN SELECT RAISE(ABORT, 'disk trouble'); END");
    const calls = [chain.addStake(alice, NETUID, 1), chain.register(bob, NETUID), chain.commit(alice, NETUID, 'x')];
    const errors = await Promise.all(calls.map((call) => expectCode(call, 'chain.storage_failed')));
    for (const error of errors) expect(error.message).toContain('disk trouble');
    expect((await chain.metagraph(NETUID)).neurons).toMatchObject([{ hotkey: alice.hotkey, stake: 0 }]);
    saboteur.exec('DROP TRIGGER no_block');
    expect(await chain.commit(alice, NETUID, 'y')).toEqual({
      committedAtBlock: 2,
      expectedRevealBlock: 3,
    });
    await chain.advance(1);
    expect((await chain.commitments(NETUID, 100)).map((c) => c.data)).toEqual(['y']);
  });

  it('refuses the block, tells its callers, and goes on when the storage works again', async () => {
    const path = freshPath();
    const chain = open({ path });
    await chain.register(alice, NETUID);
    const intruder = new Database(path);
    intruder.exec('BEGIN IMMEDIATE');
    const error = await expectCode(chain.addStake(alice, NETUID, 1), 'chain.storage_failed');
    expect(error.retry).toBe('later');
    await expectCode(chain.advance(1), 'chain.storage_failed');
    expect((await chain.head()).number).toBe(1);
    intruder.exec('ROLLBACK');
    await chain.addStake(alice, NETUID, 1);
    expect(await chain.head()).toMatchObject({ number: 2 });
    expect((await chain.metagraph(NETUID)).neurons[0]?.stake).toBe(1);
  });
});
