/**
 * @file Nodes are strangers: whatever one answers, a call ends with a value or a typed error, and nothing else breaks.
 *
 * With `SUBTENSOR_METADATA` (SCALE metadata of the public network) the answers of its storage are tried as well.
 */
import { existsSync, readFileSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocketServer } from 'ws';
import { walletFromSeed } from '../wallet/index.ts';
import { SubtensorChain } from './subtensor-chain.ts';

const path = process.env.SUBTENSOR_METADATA ?? '';
const metadata = path !== '' && existsSync(path) ? readFileSync(path) : null;
if (!metadata) console.log('storage answers skipped: SUBTENSOR_METADATA names no file of SCALE metadata');

const hash = `0x${'ab'.repeat(32)}`;
const wallet = walletFromSeed(new Uint8Array(32).fill(1));

/** What an honest node says, as JSON text by method. */
const honest: Record<string, unknown> = {
  chain_getBlockHash: hash,
  chain_getFinalizedHead: hash,
  chain_getHeader: { number: '0x10', parentHash: hash },
  chain_getBlock: { block: { header: { number: '0x10', parentHash: hash }, extrinsics: ['0x00'] } },
  chain_subscribeNewHeads: 'new',
  chain_subscribeFinalizedHeads: 'final',
  state_getRuntimeVersion: { specName: 'node-subtensor', specVersion: 365, transactionVersion: 1 },
  state_getMetadata: metadata ? `0x${metadata.toString('hex')}` : '0x6d657461',
  state_call: '0x00',
  state_getStorage: null,
  state_getKeysPaged: [],
  state_queryStorageAt: [{ block: hash, changes: [] }],
  system_accountNextIndex: 0,
  author_submitExtrinsic: hash,
};

interface Behaviour {
  /** Method whose answer is replaced. */
  method: string;
  /** JSON text in the place of its result. */
  result: string;
  /** Whole messages sent before the answer. */
  before: string[];
}

/** One server for a whole property: `behave` is what it does now. */
async function hostileNode() {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
  await new Promise((resolve) => server.once('listening', resolve));
  let now: Behaviour = { method: '', result: '', before: [] };
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data) => {
      const { id, method } = JSON.parse(data.toString());
      const isFaulty = method === now.method;
      if (isFaulty) for (const message of now.before) socket.send(message);
      const result = isFaulty ? now.result : JSON.stringify(honest[method] ?? null);
      socket.send(`{"jsonrpc":"2.0","id":${id},${result.startsWith('"error"') ? result : `"result":${result}`}}`);
    });
  });
  const { port } = server.address() as { port: number };
  return {
    url: `ws://127.0.0.1:${port}`,
    behave: (behaviour: Behaviour) => {
      now = behaviour;
    },
  };
}

const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
/** Objects whose conversion to text or to a number throws. */
const unprintable = '{"toString":1,"valueOf":1}';
const odd = fc.oneof(
  fc.constantFrom(
    ...[
      'null',
      '0',
      '-1',
      '1e400',
      '9007199254740993',
      'true',
      '""',
      '"0x"',
      '"0x0"',
      '"0xzz"',
      '"0xff"',
      '[]',
      '{}',
      '[[]]',
      '[null]',
    ],
    ...[
      unprintable,
      `[${unprintable}]`,
      `{"number":${unprintable},"parentHash":"${hash}"}`,
      `{"number":"0xffffffffffffff"}`,
    ],
    ...[
      `{"block":{"header":{"number":${unprintable}},"extrinsics":[]}}`,
      `{"block":{"header":{"number":1,"parentHash":"${hash}"},"extrinsics":[1]}}`,
    ],
    ...[deep, `"0x${'ab'.repeat(1_000_000)}"`, `"0x03ffffffff${'00'.repeat(50)}"`, '"0xfeffffff"'],
    ...[
      `[{"changes":[[1,2]]}]`,
      `[{"changes":[["0x",${unprintable}]]}]`,
      '[{"changes":null}]',
      `[${'"0x",'.repeat(200_000)}"0x"]`,
    ],
    ...[
      '"error":1',
      '"error":null',
      '"error":{}',
      `"error":{"code":1,"message":${unprintable}}`,
      '"error":{"code":1010,"message":"x"}',
    ],
  ),
  fc.json(),
  fc.uint8Array({ maxLength: 80 }).map((bytes) => `"0x${Buffer.from(bytes).toString('hex')}"`),
);
const notifications = [
  `{"jsonrpc":"2.0","method":"x","params":{"subscription":${unprintable},"result":1}}`,
  `{"jsonrpc":"2.0","method":"x","params":{"subscription":"new","result":{"number":${unprintable}}}}`,
  '{"jsonrpc":"2.0","method":"x","params":{"subscription":"new","result":null}}',
  '{"jsonrpc":"2.0","method":"x","params":null}',
  '{"jsonrpc":"2.0","id":"1","result":1}',
  `{"jsonrpc":"2.0","id":${unprintable},"result":1}`,
  '{"jsonrpc":"2.0","id":-5,"error":null}',
  '[]',
  '"text"',
  'no json',
];

const calls: [string, (chain: SubtensorChain) => Promise<unknown>][] = [
  ['head', (chain) => chain.head()],
  ['bestHead', (chain) => chain.bestHead()],
  ['blockHash', (chain) => chain.blockHash(3)],
  ['identity', (chain) => chain.identity()],
  ['metagraph', (chain) => chain.metagraph(24, 3)],
  ['hyperparameters', (chain) => chain.hyperparameters(24)],
  ['nextEpochBlock', (chain) => chain.nextEpochBlock(24)],
  ['commitments', (chain) => chain.commitments(24, 3)],
  ['weights', (chain) => chain.weights(24, 16)],
  ['pendingWeights', (chain) => chain.pendingWeights(24)],
  ['balance', (chain) => chain.balance(wallet.address)],
  ['blockTimeMs', (chain) => chain.blockTimeMs()],
  ['commit', (chain) => chain.preview(wallet.address, { method: 'commit', params: { netuid: 24, data: 'x' } })],
  ['register', (chain) => chain.register(wallet, 24)],
];

async function endsWell(chain: SubtensorChain, [name, call]: (typeof calls)[number]): Promise<void> {
  try {
    await call(chain);
  } catch (error) {
    expect(error, `${name}: ${(error as Error).stack}`).toBeInstanceOf(QuasarError);
    expect((error as QuasarError).code, name).toMatch(/^chain\./);
  }
}

describe('a node that answers anything', () => {
  it.each([
    ['a block number that is an object', 'chain_getHeader', `{"number":${unprintable},"parentHash":"${hash}"}`, 'head'],
    ['a parent that is no hash', 'chain_getHeader', '{"number":"0x10","parentHash":"0x"}', 'head'],
    ['deep nesting', 'chain_getFinalizedHead', deep, 'head'],
    ['a version without a name', 'state_getRuntimeVersion', `{"specName":${unprintable}}`, 'identity'],
    ['metadata with a huge length', 'state_getMetadata', '"0x6d6574610f0300000040"', 'identity'],
    ['metadata of huge lengths', 'state_getMetadata', `"0x6d6574610e${'feffffff'.repeat(1000)}"`, 'identity'],
  ])('is refused: %s', async (_, method, result, name) => {
    const node = await hostileNode();
    node.behave({ method, result, before: [] });
    const chain = new SubtensorChain({ urls: [node.url], patienceMs: 1 });
    const call = calls.find(([each]) => each === name) as (typeof calls)[number];
    await expect(call[1](chain)).rejects.toMatchObject({ code: 'chain.protocol' });
    chain.close();
  });

  it('cannot break the process with a notification', async () => {
    const node = await hostileNode();
    node.behave({ method: 'chain_subscribeFinalizedHeads', result: '"final"', before: notifications.slice(0, -2) });
    const chain = new SubtensorChain({ urls: [node.url], patienceMs: 1 });
    expect(await chain.head()).toEqual({ number: 16, hash });
    // The subscriptions follow the first answer; the messages are there when another answer is.
    for (let i = 0; i < 3; i++) expect(await chain.head()).toEqual({ number: 16, hash });
    chain.close();
  });

  it('causes typed errors only', async () => {
    const node = await hostileNode();
    const behaviour = fc.record({
      method: fc.constantFrom(...Object.keys(honest)),
      result: odd,
      before: fc.array(fc.constantFrom(...notifications), { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(behaviour, fc.constantFrom(...calls), async (faulty, call) => {
        node.behave(faulty);
        const chain = new SubtensorChain({ urls: [node.url], patienceMs: 1 });
        const giveUp = setTimeout(() => chain.close(), 300);
        await endsWell(chain, call);
        clearTimeout(giveUp);
        chain.close();
      }),
      { numRuns: 25 },
    );
  });
});
