/** @file What strangers may send to a served chain: nothing of it is an internal error, and nothing stops it for others. */
import { connect as connectTcp } from 'node:net';
import { canonicalJson } from '@quasar/base';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { walletFromSeed } from '../wallet/index.ts';
import { DevChain } from './dev-chain.ts';
import { type ServeLimits, serveChain } from './server.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const NETUID = 24;
const alice = walletFromSeed(new Uint8Array(32).fill(1));
const bob = walletFromSeed(new Uint8Array(32).fill(2));

async function served(limits: Partial<ServeLimits> = {}) {
  const chain = DevChain.open({ path: ':memory:', blockTimeMs: 0 });
  const server = await serveChain(chain, { port: 0, limits });
  onTestFinished(async () => {
    await server.close();
    chain.close();
  });
  await chain.register(alice, NETUID);
  await chain.addStake(alice, NETUID, 1);
  return { chain, url: server.url, port: Number(new URL(server.url).port) };
}

async function client(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url);
  onTestFinished(() => socket.terminate());
  await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return socket;
}

interface Reply {
  result?: Json;
  error?: { data: { code: string } };
}

/** The answer, past any notification. */
function ask(socket: WebSocket, text: string): Promise<Reply> {
  return new Promise((resolve) => {
    const take = (data: object) => {
      const message = JSON.parse(data.toString());
      if ('method' in message) return;
      socket.off('message', take);
      resolve(message);
    };
    socket.on('message', take);
    socket.send(text);
  });
}

function expectTyped(reply: Reply): void {
  if (reply.error) expect(reply.error.data.code).toMatch(/^chain\.(?!internal)/);
  else expect(reply).toHaveProperty('result');
}

/** Stands for a nesting deeper than any stack, which a test could not hold as a value. */
const DEEP = '@deep';

function toText(message: unknown): string {
  return JSON.stringify(message).replaceAll(`"${DEEP}"`, `${'['.repeat(50_000)}${']'.repeat(50_000)}`);
}

/** Values at the borders of the types, which random ones rarely hit. */
const odd: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(
    null,
    true,
    0,
    -0,
    -1,
    1,
    0.5,
    255,
    65535,
    65536,
    2 ** 31,
    2 ** 53 - 1,
    2 ** 53,
    1e21,
    1.7976931348623157e308,
    5e-324,
    1e-9,
    '',
    '\ud800',
    '\u0000',
    '0x',
    '__proto__',
    'constructor',
    DEEP,
    'x'.repeat(2000),
    alice.address,
    bob.address,
    [],
    {},
    [[]],
    [{}],
    { __proto__: null, constructor: 1 },
    JSON.parse('{"__proto__":{"netuid":1}}'),
  ),
  fc.jsonValue() as fc.Arbitrary<Json>,
);

/** Every place in a value, as a list of keys. */
function places(value: Json, at: string[] = []): string[][] {
  if (value === null || typeof value !== 'object') return [at];
  return [at, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...at, key]))];
}

/** `value` with `to` in one place, or without that place where `to` is undefined. */
function changed(value: Json, [key, ...rest]: string[], to: Json | undefined): Json {
  if (key === undefined) return to ?? null;
  if (Array.isArray(value)) {
    const items = value.map((item, i) => (String(i) === key ? changed(item, rest, to) : item));
    return rest.length === 0 && to === undefined ? items.filter((_, i) => String(i) !== key) : items;
  }
  const { [key]: inner, ...others } = value as Record<string, Json>;
  return rest.length === 0 && to === undefined ? others : { ...others, [key]: changed(inner as Json, rest, to) };
}

const near = (values: Json[]): fc.Arbitrary<Json> =>
  fc
    .constantFrom(...values)
    .chain((value) =>
      fc.tuple(fc.constant(value), fc.constantFrom(...places(value)), fc.option(odd, { nil: undefined })),
    )
    .map(([value, place, to]) => changed(value, place, to));

const calls: Json[] = [
  { method: 'register', params: { netuid: NETUID, hotkey: bob.address, maxCost: 1 } },
  { method: 'addStake', params: { netuid: NETUID, hotkey: alice.address, amount: 1 } },
  { method: 'commit', params: { netuid: NETUID, data: 'a pointer', blocksUntilReveal: 3 } },
  {
    method: 'setWeights',
    params: {
      netuid: NETUID,
      weights: [
        { uid: 0, weight: 1 },
        { uid: 1, weight: 0.5 },
      ],
      versionKey: 0,
    },
  },
];
const reads: Json[] = [
  ...['identity', 'head', 'blockTimeMs', 'subscribeHeads', 'unsubscribeHeads'].map((method) => ({
    method,
    params: {},
  })),
  ...['hyperparameters', 'nextEpochBlock', 'registrationCost', 'pendingWeights', 'metagraph'].map((method) => ({
    method,
    params: { netuid: NETUID },
  })),
  ...['commitments', 'weights', 'metagraph'].map((method) => ({ method, params: { netuid: NETUID, atBlock: 1 } })),
  ...['blockHash', 'headsAfter'].map((method) => ({ method, params: { block: 0 } })),
  { method: 'balance', params: { address: alice.address } },
  ...calls.map((call) => ({ method: 'preview', params: { address: alice.address, call } })),
];

describe('messages near valid ones', () => {
  it('get a typed answer that is no internal error', async () => {
    const { url, chain } = await served();
    const socket = await client(url);
    await fc.assert(
      fc.asyncProperty(near(reads), async (read) => {
        expectTyped(await ask(socket, toText({ jsonrpc: '2.0', id: 1, ...(read as object) })));
      }),
      { numRuns: 250 },
    );
    expect((await chain.head()).number).toBeGreaterThan(0);
  });

  it('do so when they are signed, whatever the call', async () => {
    const { chain, url } = await served();
    const socket = await client(url);
    let nonce = 0;
    await fc.assert(
      fc.asyncProperty(near(calls), async (call) => {
        const atBlock = (await chain.head()).number;
        const envelope = {
          genesis: chain.genesis,
          atBlock,
          nonce: (++nonce).toString(16).padStart(32, '0'),
          signer: alice.address,
        };
        let signature = `0x${'00'.repeat(64)}`;
        try {
          const text = canonicalJson({ ...envelope, ...(call as object) });
          signature = `0x${Buffer.from(await alice.sign(new TextEncoder().encode(text))).toString('hex')}`;
        } catch {
          // Not to be written as canonical JSON: sent all the same.
        }
        const extrinsic = { ...envelope, call, signature };
        const reply = await ask(socket, toText({ jsonrpc: '2.0', id: nonce, method: 'submit', params: { extrinsic } }));
        expectTyped(reply);
      }),
      { numRuns: 150 },
    );
    const { neurons } = await chain.metagraph(NETUID);
    for (const { stake, incentive } of neurons) expect([stake, incentive].every(Number.isFinite)).toBe(true);
    await chain.addStake(alice, NETUID, 1);
  });
});

describe('strangers', () => {
  const handshake =
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

  it('who send any bytes harm nobody', async () => {
    const { url, port } = await served();
    const frame = (opcode: number, payload: Uint8Array) =>
      Buffer.concat([Buffer.of(opcode, 0x80 | Math.min(payload.length, 125), 0, 0, 0, 0), payload.subarray(0, 125)]);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 60 })).map(([opcode, payload]) => frame(opcode, payload)),
      // A length of 2^62, one of 2^30, text that is no UTF-8, a fragment without its end.
      fc
        .constantFrom('81ff4000000000000000', '81ff0000000040000000', '8182000000 00ffff', '0181000000007b')
        .map((hex) => Buffer.from(hex.replace(' ', ''), 'hex')),
    );
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(bytes, { maxLength: 5 }), async (greets, chunks) => {
        const socket = connectTcp(port, '127.0.0.1');
        socket.on('error', () => {});
        socket.resume();
        if (greets) socket.write(handshake);
        for (const chunk of chunks) socket.write(chunk);
        await new Promise((resolve) => setTimeout(resolve, 2));
        socket.destroy();
      }),
      { numRuns: 60 },
    );
    expect(await ask(await client(url), '{"jsonrpc":"2.0","id":1,"method":"head"}')).toHaveProperty('result');
  });

  it('who read nothing are cut off before their answers fill the memory', async () => {
    const maxUnreadBytes = 2 ** 22;
    const { url } = await served({ maxUnreadBytes });
    const socket = await client(url);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.pause();
    const echoed = JSON.stringify({ jsonrpc: '2.0', id: 'x'.repeat(2 ** 20), method: 'head' });
    for (let sent = 0; sent < 64 && socket.readyState === socket.OPEN; sent++) {
      socket.send(echoed, () => {});
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    socket.resume();
    await closed;
    expect(await ask(await client(url), '{"jsonrpc":"2.0","id":1,"method":"head"}')).toHaveProperty('result');
  });
});
