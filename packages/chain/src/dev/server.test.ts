/** @file What only exists over WebSocket: forged and repeated extrinsics, lost answers, restarts, wrong addresses, limits. */
import { createServer } from 'node:http';
import { canonicalJson } from '@quasar/base';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { Head, Wallet } from '../port.ts';
import { expectCode } from '../testing/expect-code.ts';
import { droppingProxy, listen } from '../testing/proxy.ts';
import { walletFromSeed } from '../wallet/index.ts';
import { connectChain } from './client.ts';
import { DevChain } from './dev-chain.ts';
import { EXTRINSIC_LIFETIME_BLOCKS, signExtrinsic } from './extrinsic.ts';
import { parseReply } from './json-rpc.ts';
import { type ChainServer, type ServeLimits, serveChain } from './server.ts';

const NETUID = 24;
const alice: Wallet = walletFromSeed(new Uint8Array(32).fill(1));
const bob: Wallet = walletFromSeed(new Uint8Array(32).fill(2));

function openChain(blockTimeMs = 0): DevChain {
  const chain = DevChain.open({ path: ':memory:', blockTimeMs });
  onTestFinished(() => chain.close());
  return chain;
}

async function serve(chain: DevChain, port = 0, limits: Partial<ServeLimits> = {}): Promise<ChainServer> {
  const server = await serveChain(chain, { port, limits });
  onTestFinished(() => server.close());
  return server;
}

function connect(url: string) {
  const client = connectChain(url);
  onTestFinished(() => client.close());
  return client;
}

const portOf = (url: string) => Number(new URL(url).port);

/** A client without manners: sends any text, and reads what comes. */
async function rawClient(url: string, headers: Record<string, string> = {}) {
  const socket = new WebSocket(url, { headers });
  onTestFinished(() => socket.terminate());
  const inbox: string[] = [];
  const waiting: ((text: string) => void)[] = [];
  const closed = new Promise<number>((resolve) => socket.on('close', (code) => resolve(code)));
  socket.on('message', (data) => {
    const take = waiting.shift();
    if (take) take(data.toString());
    else inbox.push(data.toString());
  });
  await new Promise<void>((resolve, reject) => socket.on('open', resolve).on('error', reject));
  return {
    socket,
    closed,
    next: () => {
      const text = inbox.shift();
      return text === undefined ? new Promise<string>((resolve) => waiting.push(resolve)) : Promise.resolve(text);
    },
    async ask(text: string | Buffer) {
      socket.send(text);
      return JSON.parse(await this.next());
    },
  };
}

const call = (method: string, params: unknown = {}, id: unknown = 1) =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params });

function addStake(chain: DevChain, amount = 1, atBlock?: number) {
  const stake = { method: 'addStake', params: { netuid: NETUID, amount } } as const;
  return chain
    .head()
    .then((head) => signExtrinsic(alice, stake, { genesis: chain.genesis, atBlock: atBlock ?? head.number }));
}

const stakeOf = async (chain: DevChain) => (await chain.metagraph(NETUID)).neurons[0]?.stake;

describe('extrinsics', () => {
  it('take effect once however often they are sent', async () => {
    const chain = openChain();
    const { url } = await serve(chain);
    await chain.register(alice, NETUID);
    const extrinsic = await addStake(chain, 5);
    const [one, two] = [await rawClient(url), await rawClient(url)];
    const replies = await Promise.all([
      one.ask(call('submit', { extrinsic }, 1)),
      one.ask(call('submit', { extrinsic }, 2)),
      two.ask(call('submit', { extrinsic }, 3)),
    ]);
    replies.push(await two.ask(call('submit', { extrinsic }, 4)));
    expect(replies.map((r) => [r.id, r.result])).toEqual([1, 2, 3, 4].map((id) => [id, {}]));
    expect(await stakeOf(chain)).toBe(5);
  });

  it('are refused when anything in them was changed', async () => {
    const chain = openChain();
    const { url } = await serve(chain);
    await chain.register(alice, NETUID);
    await chain.register(bob, NETUID);
    const client = await rawClient(url);
    const signed = await addStake(chain, 5);
    const changes = [
      { call: { method: 'addStake', params: { netuid: NETUID, amount: 6 } } },
      { nonce: '0'.repeat(32) },
      { atBlock: signed.atBlock - 1 },
      { signer: bob.hotkey },
      { signer: 'x' },
      { signature: `0x${'00'.repeat(64)}` },
    ];
    for (const change of changes) {
      const { error } = await client.ask(call('submit', { extrinsic: { ...signed, ...change } }));
      expect(error.data.code, JSON.stringify(change)).toBe('chain.bad_signature');
    }
    expect(await stakeOf(chain)).toBe(0);
  });

  it('are refused on another chain, when too old, and from the future', async () => {
    const chain = openChain();
    await chain.register(alice, NETUID);
    const old = await addStake(chain);
    await expectCode(chain.submit(await addStake(openChain())), 'chain.wrong_genesis');
    await expectCode(chain.submit(await addStake(chain, 1, 2)), 'chain.expired');
    await chain.advance(EXTRINSIC_LIFETIME_BLOCKS + 1);
    await expectCode(chain.submit(old), 'chain.expired');
    expect(await stakeOf(chain)).toBe(0);
  });

  it('are refused when the nonce carried another call', async () => {
    const chain = openChain();
    await chain.register(alice, NETUID);
    const { nonce } = await addStake(chain);
    const withNonce = async (amount: number) => {
      const other = await addStake(chain, amount);
      const text = canonicalJson({
        genesis: other.genesis,
        atBlock: other.atBlock,
        nonce,
        signer: other.signer,
        ...other.call,
      });
      const signature = `0x${Buffer.from(await alice.sign(new TextEncoder().encode(text))).toString('hex')}`;
      return { ...other, nonce, signature };
    };
    const [one, two, three] = [await withNonce(1), await withNonce(2), await withNonce(3)];
    const first = chain.submit(one);
    await expectCode(chain.submit(two), 'chain.nonce_reused');
    await first;
    await expectCode(chain.submit(three), 'chain.nonce_reused');
    expect(await stakeOf(chain)).toBe(1);
  });
});

describe('bad input', () => {
  it('gets a typed answer and harms nothing', async () => {
    const chain = openChain();
    const client = await rawClient((await serve(chain)).url);
    const cases: [string | Buffer, number, string][] = [
      ['', -32700, 'chain.malformed_message'],
      ['{', -32700, 'chain.malformed_message'],
      [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, -32600, 'chain.invalid_message'],
      [Buffer.from([1, 2, 3]), -32700, 'chain.malformed_message'],
      ['null', -32600, 'chain.invalid_message'],
      [`[${call('head')}]`, -32600, 'chain.invalid_message'],
      ['{"jsonrpc":"1.0","id":1,"method":"head"}', -32600, 'chain.invalid_message'],
      ['{"jsonrpc":"2.0","method":"head"}', -32600, 'chain.invalid_message'],
      ['{"jsonrpc":"2.0","id":{},"method":"head"}', -32600, 'chain.invalid_message'],
      [call('constructor'), -32601, 'chain.unknown_method'],
      [call('x'.repeat(10_000)), -32601, 'chain.unknown_method'],
      [call('head', []), -32602, 'chain.invalid_call'],
      [call('head', { extra: 1 }), -32602, 'chain.invalid_call'],
      [call('blockHash', { block: -1 }), -32602, 'chain.invalid_call'],
      [call('metagraph', { netuid: 'x' }), -32602, 'chain.invalid_call'],
      [call('weights', { netuid: 1 }), -32602, 'chain.invalid_call'],
      [call('balance', { address: '5x' }), -32602, 'chain.invalid_call'],
      [call('headsAfter', { block: 99 }), -32602, 'chain.invalid_call'],
      [call('preview', { address: alice.address, call: { method: 'rob' } }), -32602, 'chain.invalid_call'],
      [call('submit', {}), -32602, 'chain.invalid_call'],
      [call('submit', { extrinsic: { call: {} } }), -32602, 'chain.invalid_call'],
      [
        '{"jsonrpc":"2.0","id":1,"method":"submit","params":{"__proto__":{"extrinsic":1}}}',
        -32602,
        'chain.invalid_call',
      ],
    ];
    for (const [message, code, name] of cases) {
      const { error } = await client.ask(message);
      expect([error.code, error.data.code], message.toString().slice(0, 60)).toEqual([code, name]);
    }
    expect((await client.ask(call('head', {}, 'own id'))).id).toBe('own id');
  });

  it('never stops the server, whatever the text', async () => {
    const client = await rawClient((await serve(openChain())).url);
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc
        .record({
          jsonrpc: fc.constant('2.0'),
          id: fc.integer(),
          method: fc.constantFrom('head', 'submit', 'weights'),
          params: fc.jsonValue(),
        })
        .map((value) => JSON.stringify(value)),
    );
    await fc.assert(
      fc.asyncProperty(text, async (sent) => {
        expect(parseReply(JSON.stringify(await client.ask(sent)))).not.toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  it('a reader of replies takes or refuses any text, and never throws', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseReply(text)));
  });
});

describe('limits', () => {
  it('cuts off a message that is too large', async () => {
    const { url } = await serve(openChain(), 0, { maxMessageBytes: 1000 });
    const client = await rawClient(url);
    client.socket.send(`"${'x'.repeat(5000)}"`);
    expect(await client.closed).toBe(1009);
    expect((await connect(url).head()).number).toBe(0);
  });

  it('takes a set number of connections', async () => {
    const { url } = await serve(openChain(), 0, { maxConnections: 2 });
    const first = await rawClient(url);
    await rawClient(url);
    await expect(rawClient(url)).rejects.toThrow('503');
    expect((await expectCode(connect(url).head(), 'chain.unreachable')).retry).toBe('later');
    first.socket.terminate();
    await first.closed;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await connect(url).head()).number).toBe(0);
  });

  it('takes a set number of waiting calls', async () => {
    const chain = openChain(1_000_000);
    const { url } = await serve(chain, 0, { maxWaiting: 2 });
    const client = await rawClient(url);
    for (const [wallet, id] of [
      [alice, 1],
      [bob, 2],
    ] as const) {
      const register = { method: 'register', params: { netuid: NETUID } } as const;
      const extrinsic = await signExtrinsic(wallet, register, { genesis: chain.genesis, atBlock: 0 });
      client.socket.send(call('submit', { extrinsic }, id));
    }
    const refused = await client.ask(call('head', {}, 3));
    expect([refused.id, refused.error.data.code]).toEqual([3, 'chain.busy']);
    await chain.advance(1);
    expect(JSON.parse(await client.next()).result).toEqual({ uid: 0 });
    expect(JSON.parse(await client.next()).result).toEqual({ uid: 1 });
    expect((await client.ask(call('head'))).result.number).toBe(1);
  });

  it('cuts off a client that shows no sign of life', async () => {
    const { url } = await serve(openChain(), 0, { heartbeatMs: 20 });
    const lively = await rawClient(url);
    const dead = new WebSocket(url, { autoPong: false });
    await new Promise((resolve) => dead.on('close', resolve));
    expect((await lively.ask(call('head'))).result.number).toBe(0);
  });

  it('keeps out pages of other sites', async () => {
    const { url } = await serve(openChain());
    await expect(rawClient(url, { origin: 'https://example.com' })).rejects.toThrow('403');
    await expect(rawClient(url, { origin: 'null' })).rejects.toThrow('403');
    await rawClient(url, { origin: 'http://localhost:2424' });
  });
});

describe('addresses', () => {
  it('says when the port is taken', async () => {
    const chain = openChain();
    const { url } = await serve(chain);
    const error = await expectCode(serveChain(chain, { port: portOf(url) }), 'chain.port_in_use');
    expect(error.hint).toContain('port');
    await expectCode(serveChain(chain, { port: 0, host: '203.0.113.1' }), 'chain.listen_failed');
  });

  it('tells an absent chain from something that is no chain', async () => {
    const chain = openChain();
    const server = await serve(chain);
    await server.close();
    const error = await expectCode(connect(server.url).head(), 'chain.unreachable');
    expect(error.retry).toBe('later');
    await expectCode(connect(server.url).register(alice, NETUID), 'chain.unreachable');
    const page = await listen(createServer((_, response) => response.end('hello')));
    await expectCode(connect(`ws://127.0.0.1:${page.port}`).head(), 'chain.protocol');
    const http = createServer();
    new WebSocketServer({ server: http }).on('connection', (socket) => socket.on('message', () => socket.send('hi')));
    const chat = await listen(http);
    await expectCode(connect(`ws://127.0.0.1:${chat.port}`).head(), 'chain.protocol');
    for (const url of ['not a url', 'http://127.0.0.1:2426']) {
      expect(() => connectChain(url)).toThrow(expect.objectContaining({ code: 'chain.invalid_options' }));
    }
  });

  it('notices when another chain answers at the same address', async () => {
    const server = await serve(openChain());
    const client = connect(server.url);
    await client.head();
    await server.close();
    await serve(openChain(), portOf(server.url));
    await expectCode(client.head(), 'chain.wrong_genesis');
    await expectCode(client.register(alice, NETUID), 'chain.wrong_genesis');
  });
});

describe('a broken connection', () => {
  it('leaves no gap in the heads', async () => {
    const chain = openChain();
    const first = await serve(chain);
    const abort = new AbortController();
    const seen: number[] = [];
    let second: Promise<ChainServer> | null = null;
    for await (const head of connect(first.url).heads(abort.signal)) {
      seen.push(head.number);
      if (head.number === 0) {
        await first.close();
        await chain.advance(300);
        second = new Promise((resolve) => setTimeout(() => resolve(serve(chain, portOf(first.url))), 150));
      }
      if (head.number === 300) abort.abort();
    }
    await second;
    expect(seen).toEqual(Array.from({ length: 301 }, (_, n) => n));
  });

  it('however often it breaks, heads are seen once each and extrinsics take effect once each', async () => {
    const chain = openChain();
    const proxy = await droppingProxy((await serve(chain)).url);
    const client = connect(proxy.url);
    await client.register(alice, NETUID);
    const abort = new AbortController();
    const seen: Head[] = [];
    const following = (async () => {
      for await (const head of client.heads(abort.signal)) seen.push(head);
    })();
    let sent = 0;
    for (let round = 0; round < 30; round++) {
      const stake = client.addStake(alice, NETUID, 1);
      if (round % 3 === 0) proxy.cut();
      if (round % 3 === 1) proxy.dropAnswers(1);
      if (round % 3 === 2) proxy.dropRequests(1);
      await stake;
      expect(await stakeOf(chain)).toBe(++sent);
    }
    const last = (await chain.head()).number;
    while (seen.at(-1)?.number !== last) await new Promise((resolve) => setTimeout(resolve, 20));
    abort.abort();
    await following;
    const first = seen[0]?.number as number;
    expect(seen.map((head) => head.number)).toEqual(Array.from({ length: last - first + 1 }, (_, i) => first + i));
  }, 30_000);

  it('gives every follower of one client every head', async () => {
    const chain = openChain();
    const client = connect((await serve(chain)).url);
    const abort = new AbortController();
    const follow = async (until: number) => {
      const seen: number[] = [];
      for await (const head of client.heads(abort.signal)) {
        seen.push(head.number);
        if (head.number === until) break;
      }
      return seen;
    };
    const [long, short] = [follow(6), follow(3)];
    for (let i = 0; i < 6; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await chain.advance(1);
    }
    expect(await short).toEqual([0, 1, 2, 3]);
    expect(await long).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('never doubles a write whose answer was lost', async () => {
    const chain = openChain();
    const { url } = await serve(chain);
    await chain.register(alice, NETUID);
    const proxy = await droppingProxy(url);
    const client = connect(proxy.url);

    proxy.dropAnswers(2);
    await client.addStake(alice, NETUID, 5);
    expect(await stakeOf(chain)).toBe(5);

    proxy.dropAnswers(3);
    await expectCode(client.addStake(alice, NETUID, 7), 'chain.unreachable');
    expect(await stakeOf(chain)).toBe(12);
    await client.addStake(alice, NETUID, 7);
    expect(await stakeOf(chain)).toBe(12);
    await client.addStake(alice, NETUID, 7);
    expect(await stakeOf(chain)).toBe(19);
    expect(proxy.dropped()).toBe(5);
  });

  it('never doubles hidden weights, though each encryption differs', async () => {
    const chain = DevChain.open({
      path: ':memory:',
      blockTimeMs: 0,
      commitReveal: 'timelocked',
      weightsRateLimitBlocks: 0,
    });
    onTestFinished(() => chain.close());
    const { url } = await serve(chain);
    await chain.register(alice, NETUID);
    const proxy = await droppingProxy(url);
    const client = connect(proxy.url);
    const weights = [{ uid: 0, weight: 1 }];
    proxy.dropAnswers(3);
    await expectCode(client.setWeights(alice, NETUID, weights), 'chain.unreachable');
    const [pending] = await chain.pendingWeights(NETUID);
    expect(await client.setWeights(alice, NETUID, weights)).toMatchObject({
      kind: 'timelocked',
      committedAtBlock: pending?.committedAtBlock,
    });
    expect(await chain.pendingWeights(NETUID)).toEqual([pending]);
    await client.setWeights(alice, NETUID, weights);
    expect(await chain.pendingWeights(NETUID)).toHaveLength(2);
  });

  it('signs a write anew when it never arrived and has expired', async () => {
    const chain = openChain();
    const { url } = await serve(chain);
    await chain.register(alice, NETUID);
    const proxy = await droppingProxy(url);
    const client = connect(proxy.url);
    await client.head();
    proxy.dropRequests(3);
    await expectCode(client.addStake(alice, NETUID, 5), 'chain.unreachable');
    expect(await stakeOf(chain)).toBe(0);
    await chain.advance(EXTRINSIC_LIFETIME_BLOCKS + 1);
    await client.addStake(alice, NETUID, 5);
    expect(await stakeOf(chain)).toBe(5);
  });
});

describe('closing', () => {
  it('cuts waiting writes, and the chain says they are in no block', async () => {
    const chain = DevChain.open({ path: ':memory:', blockTimeMs: 1_000_000 });
    const server = await serve(chain);
    const client = connect(server.url);
    const remote = expectCode(client.register(alice, NETUID), 'chain.closed');
    const local = expectCode(chain.register(bob, NETUID), 'chain.closed');
    await new Promise((resolve) => setTimeout(resolve, 200));
    chain.close();
    await Promise.all([remote, local]);
    await server.close();
    await server.close();
  });

  it('a closed client answers nothing more', async () => {
    const client = connectChain((await serve(openChain(1_000_000))).url);
    await client.head();
    const waiting = expectCode(client.register(alice, NETUID), 'chain.closed');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await client.close();
    await waiting;
    await expectCode(client.head(), 'chain.closed');
  });
});
