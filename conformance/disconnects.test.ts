/** @file The adapter over a wire that breaks a hundred times: no extrinsic is lost, none counts twice, no head is missed. */
import { Rng } from '@quasar/base';
import { afterAll, describe, expect, it } from 'vitest';
import type { Wallet } from '../packages/chain/src/port.ts';
import { Endpoints } from '../packages/chain/src/subtensor/endpoints.ts';
import { extrinsicHash, Node } from '../packages/chain/src/subtensor/node.ts';
import { SubtensorChain } from '../packages/chain/src/subtensor/subtensor-chain.ts';
import { Transactions } from '../packages/chain/src/subtensor/transactions.ts';
import { Harness } from './support/harness.ts';
import { breakingProxy } from './support/proxies.ts';

const CUTS = 100;
const WRITERS = 3;
const PATIENCE_MS = 10_000;
/** Pieces of traffic between two cuts, at most; a connection takes about 10, a write about 40. */
const MOST_CHUNKS = 50;

describe('a wire that breaks', () => {
  const harness = new Harness();
  afterAll(() => harness.close());

  it(`loses and repeats nothing over ${CUTS} disconnects`, { timeout: 600_000 }, async () => {
    const rng = new Rng(1);
    const until = () => rng.int(1, MOST_CHUNKS);
    const [proxy, other] = [await breakingProxy(harness.url, until), await breakingProxy(harness.url, until)];
    const cuts = () => proxy.cuts() + other.cuts();
    const node = new Node(new Endpoints([proxy.url], { genesis: null, specName: 'node-subtensor' }, PATIENCE_MS));
    const transactions = new Transactions(node);
    const wallets = await harness.wallets(WRITERS);
    const first = await harness.node.head();

    const followed: number[] = [];
    const stop = new AbortController();
    const follower = new SubtensorChain({ urls: [other.url], patienceMs: PATIENCE_MS });
    const following = (async () => {
      for await (const head of follower.heads(stop.signal)) followed.push(head.number);
    })();

    const written: { wallet: Wallet; text: string; block: number; calls: number }[] = [];
    await Promise.all(
      wallets.map(async (wallet, w) => {
        for (let n = 0; cuts() < CUTS; n++) {
          const text = `remark ${w}.${n}`;
          for (let calls = 1; ; calls++) {
            try {
              const { block } = await transactions.send(wallet, text, async () => {
                const { runtime } = await node.state();
                const call = runtime.encodeCall('System', 'remark', { remark: Buffer.from(text) });
                return { name: 'System.remark', call, memo: null };
              });
              written.push({ wallet, text, block, calls });
              break;
            } catch (error) {
              // The one failure that may come of a broken wire; the same call again goes on with the same bytes.
              expect(error).toMatchObject({ code: 'chain.unreachable', retry: 'later' });
            }
          }
        }
      }),
    );
    await harness.advance(1);
    const last = await harness.node.head();

    const found = new Map<string, number[]>();
    for (let number = first.number + 1; number <= last.number; number++) {
      const raw = (await harness.rpc('chain_getBlock', await harness.node.hashOf(number))) as {
        block: { extrinsics: string[] };
      };
      for (const extrinsic of raw.block.extrinsics) {
        const text = /remark \d+\.\d+$/.exec(Buffer.from(extrinsic.slice(2), 'hex').toString('latin1'))?.[0];
        if (text) found.set(text, [...(found.get(text) ?? []), number]);
        expect(extrinsicHash(Buffer.from(extrinsic.slice(2), 'hex'))).toMatch(/^0x[0-9a-f]{64}$/);
      }
    }
    expect(cuts()).toBeGreaterThanOrEqual(CUTS);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(written.map(({ text, block }) => [text, [block]])));
    for (const wallet of wallets) {
      const sent = written.filter((write) => write.wallet === wallet).length;
      expect(await harness.rpc('system_accountNextIndex', wallet.address)).toBe(sent);
    }

    await expect.poll(() => followed.at(-1), { timeout: 30_000 }).toBe(last.number);
    stop.abort();
    await following;
    const start = followed[0] ?? 0;
    expect(followed).toEqual(Array.from({ length: last.number - start + 1 }, (_, i) => start + i));
    console.log(
      `${cuts()} disconnects, ${written.length} extrinsics each in one block, ${followed.length} heads without a gap`,
    );
    follower.close();
    node.endpoints.close();
    proxy.close();
    other.close();
  });
});
