/** @file Answers of a real node, cut, bent and blown up on their way: every read fails with a code or tells the truth. */
import { QuasarError, Rng } from '@quasar/base';
import { afterAll, describe, expect, it } from 'vitest';
import type { Chain, Wallet } from '../packages/chain/src/port.ts';
import { MAX_MESSAGE_BYTES } from '../packages/chain/src/subtensor/socket.ts';
import { SubtensorChain } from '../packages/chain/src/subtensor/subtensor-chain.ts';
import { Harness } from './support/harness.ts';
import { answerTo, interceptingProxy } from './support/proxies.ts';

const ROUNDS = 120;
const MAX_GROWTH_BYTES = 512 * 1024 * 1024;

describe('answers that are garbled', () => {
  const harness = new Harness();
  afterAll(() => harness.close());

  it(`are refused with a code, ${ROUNDS} times`, { timeout: 600_000 }, async () => {
    let garble: ((message: string) => string | null) | null = null;
    // The node runs a whole runtime for some answers: the same question is asked once.
    const answers = new Map<string, Promise<string>>();
    const proxy = await interceptingProxy(harness.url, async (question, ask) => {
      const { method, params } = question;
      const key = JSON.stringify([method, params]);
      const answer = answers.get(key) ?? ask(method, params);
      answers.set(key, answer);
      const message = answerTo(question, await answer);
      return garble?.(message) ?? message;
    });
    const { netuid } = await harness.subnet();
    const [wallet] = (await harness.wallets(1)) as [Wallet];
    const reads: ((chain: Chain) => Promise<unknown>)[] = [
      (chain) => chain.identity(),
      (chain) => chain.head(),
      (chain) => chain.bestHead(),
      (chain) => chain.blockHash(1),
      (chain) => chain.blockTimeMs(),
      (chain) => chain.metagraph(netuid),
      (chain) => chain.hyperparameters(netuid),
      (chain) => chain.nextEpochBlock(netuid),
      (chain) => chain.balance(wallet.address),
      (chain) => chain.commitments(netuid, 1e9),
      (chain) => chain.weights(netuid, 1e9),
      (chain) => chain.pendingWeights(netuid),
      (chain) => chain.preview(wallet.address, { method: 'register', params: { netuid } }),
    ];
    const open = (patienceMs: number) =>
      new SubtensorChain({ urls: [proxy.url], patienceMs, requestTimeoutMs: patienceMs });
    const truths = await Promise.all(reads.map((read) => withChain(open(60_000), read)));

    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    const rng = new Rng(20);
    const tally: Record<string, number> = {};
    const before = process.memoryUsage().rss;
    let growth = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const which = rng.int(0, reads.length - 1);
      // Mostly one answer somewhere in the exchange, so that the deep ones are reached too.
      let until = rng.int(0, 14);
      const mutate = mutators[rng.int(0, mutators.length - 1)] as Mutator;
      garble = (message) => (until-- === 0 ? mutate(message, rng) : null);
      const outcome = await withChain(open(300), reads[which] as (chain: Chain) => Promise<unknown>).then(
        () => 'answered',
        (error: unknown) => {
          expect(error).toBeInstanceOf(QuasarError);
          return (error as QuasarError).code;
        },
      );
      tally[outcome] = (tally[outcome] ?? 0) + 1;
      growth = Math.max(growth, process.memoryUsage().rss - before);
    }
    garble = null;
    expect(await Promise.all(reads.map((read) => withChain(open(60_000), read)))).toEqual(truths);
    process.off('unhandledRejection', onUnhandled);
    proxy.close();
    console.log(`garbled: ${JSON.stringify(tally)}, memory +${Math.round(growth / 2 ** 20)} MB at most`);
    expect(unhandled).toEqual([]);
    expect(tally['chain.protocol']).toBeGreaterThan(20);
    expect(growth).toBeLessThan(MAX_GROWTH_BYTES);
  });
});

async function withChain<T>(chain: SubtensorChain, read: (chain: Chain) => Promise<T>): Promise<T> {
  try {
    return await read(chain);
  } finally {
    chain.close();
  }
}

type Mutator = (message: string, rng: Rng) => string;

const replaceResult = (message: string, result: unknown) => JSON.stringify({ ...JSON.parse(message), result });
const hexResult = (message: string): string | null => {
  const { result } = JSON.parse(message) as { result?: unknown };
  return typeof result === 'string' && result.startsWith('0x') ? result : null;
};

const mutators: Mutator[] = [
  (message, rng) => message.slice(0, rng.int(0, message.length - 1)),
  (message, rng) => replaceAt(message, rng.int(0, message.length - 1), String.fromCharCode(rng.int(32, 126))),
  (message) => replaceResult(message, null),
  (message, rng) =>
    replaceResult(message, [[], {}, 7, '', '0x', 'zz', true, -1, 1e300, [null], { number: '0xzz' }][rng.int(0, 10)]),
  // Fewer bytes than the type has, more bytes, other bytes, and a length that nothing backs.
  (message, rng) => replaceResult(message, hexResult(message)?.slice(0, 2 + 2 * rng.int(0, 40)) ?? null),
  (message) => replaceResult(message, `${hexResult(message) ?? '0x'}00ff00ff`),
  (message, rng) => {
    const hex = hexResult(message);
    if (hex === null || hex.length < 4) return replaceResult(message, 3);
    return replaceResult(message, replaceAt(hex, rng.int(2, hex.length - 1), rng.int(0, 15).toString(16)));
  },
  (message) => replaceResult(message, '0xfeffffff'),
  (message) => replaceResult(message, `0x01feffffff${'ff'.repeat(64)}`),
  (message) => JSON.stringify({ jsonrpc: '2.0', id: JSON.parse(message).id, error: 'none' }),
  (message) =>
    JSON.stringify({ jsonrpc: '2.0', id: JSON.parse(message).id, error: { code: -32000, message: 'x'.repeat(1e6) } }),
  (message) => JSON.stringify({ jsonrpc: '2.0', id: JSON.parse(message).id }),
  () => 'null',
  () => '[]',
  () => '{"jsonrpc":"2.0","method":"chain_newHead","params":{"subscription":1,"result":{"number":"0xffffffffff"}}}',
  (message) => message.padEnd(MAX_MESSAGE_BYTES + 1),
];

function replaceAt(text: string, at: number, by: string): string {
  return text.slice(0, at) + by + text.slice(at + 1);
}
