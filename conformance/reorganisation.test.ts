/** @file Best blocks that are replaced, and extrinsics that no block takes: finality is what counts. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Wallet } from '../packages/chain/src/port.ts';
import { Endpoints } from '../packages/chain/src/subtensor/endpoints.ts';
import { Node } from '../packages/chain/src/subtensor/node.ts';
import { SubtensorChain } from '../packages/chain/src/subtensor/subtensor-chain.ts';
import { Transactions } from '../packages/chain/src/subtensor/transactions.ts';
import { expectCode } from '../packages/chain/src/testing/expect-code.ts';
import { Harness } from './support/harness.ts';
import { answerTo, interceptingProxy } from './support/proxies.ts';

/** Blocks between the best and the final one. */
const FINALITY_BLOCKS = 2;
const LIFETIME_BLOCKS = 8;

describe('a chain whose best blocks are replaced', () => {
  const harness = new Harness();
  /** What becomes of submissions at the proxy: passed on, or answered as if they were. */
  let swallows = false;
  /** Submissions, and blocks that were read. */
  const asked: unknown[] = [];
  const opened = (async () => {
    const proxy = await interceptingProxy(harness.url, async (question, ask) => {
      if (/author_submitExtrinsic|chain_getBlock$/.test(question.method)) asked.push(question.params[0]);
      if (question.method === 'author_submitExtrinsic' && swallows) {
        return JSON.stringify({ jsonrpc: '2.0', id: question.id, result: `0x${'00'.repeat(32)}` });
      }
      if (question.method !== 'chain_getFinalizedHead') return null;
      const best = JSON.parse(await ask('chain_getHeader', [])) as { result: { number: string } };
      const final = Math.max(1, Number(best.result.number) - FINALITY_BLOCKS);
      return answerTo(question, await ask('chain_getBlockHash', [final]));
    });
    const node = new Node(new Endpoints([proxy.url], { genesis: null, specName: 'node-subtensor' }));
    const chain = new SubtensorChain({ urls: [proxy.url] });
    return { proxy, node, chain, transactions: new Transactions(node, LIFETIME_BLOCKS) };
  })();
  afterAll(async () => {
    const { proxy, node, chain } = await opened;
    chain.close();
    node.endpoints.close();
    proxy.close();
    harness.close();
  });

  const remark = async (wallet: Wallet, text: string) => {
    const { node, transactions } = await opened;
    return transactions.send(wallet, text, async () => {
      const { runtime } = await node.state();
      return {
        name: 'System.remark',
        call: runtime.encodeCall('System', 'remark', { remark: Buffer.from(text) }),
        memo: null,
      };
    });
  };
  const best = () => harness.node.head();
  /** Until a best block holds more than the runtime's own extrinsics. */
  const inBestBlock = async (above: number) => {
    for (;;) {
      const head = await best();
      if (head.number > above && (await harness.node.block(head.hash)).extrinsics.length > 1) return head;
      await harness.node.nextBlock(200);
    }
  };

  it('reads final blocks only', async () => {
    const { chain } = await opened;
    await harness.advance(FINALITY_BLOCKS + 1);
    const newest = await best();
    expect(await chain.bestHead()).toMatchObject({ number: newest.number, hash: newest.hash });
    expect((await chain.head()).number).toBe(newest.number - FINALITY_BLOCKS);
    expect(await chain.blockHash(newest.number)).toBeNull();
    expect((await chain.metagraph(1)).atBlock).toBe(newest.number - FINALITY_BLOCKS);
  });

  it('brings a write into another block when its first one is replaced', async () => {
    const [wallet] = (await harness.wallets(1)) as [Wallet];
    const { chain } = await opened;
    const seen: { number: number; hash: string }[] = [];
    const stop = new AbortController();
    const following = (async () => {
      for await (const head of chain.heads(stop.signal)) seen.push(head);
    })();
    const start = await best();
    const writing = remark(wallet, 'moved');
    const first = await inBestBlock(start.number);
    await harness.rpc('dev_setHead', first.number - 1);
    await harness.advance(1);
    expect((await best()).hash).not.toBe(first.hash);
    const until = (async () => {
      for (let done = false; !done; ) {
        done = await Promise.race([
          writing.then(() => true),
          new Promise<false>((r) => setTimeout(() => r(false), 500)),
        ]);
        if (!done) await harness.advance(1);
      }
    })();
    const { block, hash } = await writing;
    await until;
    expect(hash).not.toBe(first.hash);
    expect(await harness.node.hashOf(block)).toBe(hash);
    expect(await harness.rpc('system_accountNextIndex', wallet.address)).toBe(1);
    stop.abort();
    await following;
    expect(seen.map((head) => head.hash)).not.toContain(first.hash);
    for (const head of seen) expect(await harness.node.hashOf(head.number)).toBe(head.hash);
  });

  it('says so when no block took it again', async () => {
    const [wallet] = (await harness.wallets(1)) as [Wallet];
    const start = await best();
    const writing = expectCode(remark(wallet, 'lost'), 'chain.reorganised');
    const first = await inBestBlock(start.number);
    await expect.poll(() => asked, { timeout: 60_000 }).toContain(first.hash);
    swallows = true;
    await harness.rpc('dev_setHead', first.number - 1);
    await harness.advance(LIFETIME_BLOCKS + FINALITY_BLOCKS + 1);
    expect((await writing).retry).toBe('later');
    expect(await harness.rpc('system_accountNextIndex', wallet.address)).toBe(0);
    swallows = false;
  });

  it('says that a write has expired when no block ever took it', async () => {
    const [wallet] = (await harness.wallets(1)) as [Wallet];
    swallows = true;
    const before = asked.length;
    const writing = expectCode(remark(wallet, 'swallowed'), 'chain.expired');
    await expect
      .poll(() => asked.slice(before).some((item) => String(item).length > 66), { timeout: 60_000 })
      .toBe(true);
    await harness.advance(LIFETIME_BLOCKS + FINALITY_BLOCKS + 1);
    await writing;
    swallows = false;
    expect(await harness.rpc('system_accountNextIndex', wallet.address)).toBe(0);
  });
});
