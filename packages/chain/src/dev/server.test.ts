/** @file What only exists over HTTP: forged and repeated extrinsics, lost answers, restarts, wrong addresses. */
import { createServer } from 'node:http';
import { canonicalJson } from '@quasar/base';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Wallet } from '../port.ts';
import { expectCode } from '../testing/contract.ts';
import { droppingProxy, listen } from '../testing/proxy.ts';
import { walletFromSeed } from '../wallet.ts';
import { connectChain } from './client.ts';
import { DevChain } from './dev-chain.ts';
import { EXTRINSIC_LIFETIME_BLOCKS, signExtrinsic } from './extrinsic.ts';
import { type ChainServer, serveChain } from './server.ts';

const NETUID = 24;
const alice: Wallet = walletFromSeed(new Uint8Array(32).fill(1));
const bob: Wallet = walletFromSeed(new Uint8Array(32).fill(2));

function openChain(blockTimeMs = 0): DevChain {
  const chain = DevChain.open({ path: ':memory:', blockTimeMs });
  onTestFinished(() => chain.close());
  return chain;
}

async function serve(chain: DevChain, port = 0): Promise<ChainServer> {
  const server = await serveChain(chain, { port });
  onTestFinished(() => server.close());
  return server;
}

const portOf = (url: string) => Number(new URL(url).port);

async function post(url: string, body: string): Promise<{ status: number; code: string | undefined }> {
  const response = await fetch(`${url}/extrinsics`, { method: 'POST', body });
  const json = (await response.json()) as { error?: { code: string } };
  return { status: response.status, code: json.error?.code };
}

function addStake(chain: DevChain, amount = 1, atBlock?: number) {
  const call = { method: 'addStake', params: { netuid: NETUID, amount } } as const;
  return chain
    .head()
    .then((head) => signExtrinsic(alice, call, { genesis: chain.genesis, atBlock: atBlock ?? head.number }));
}

const stakeOf = async (chain: DevChain) => (await chain.metagraph(NETUID)).neurons[0]?.stake;

describe('extrinsics', () => {
  it('take effect once however often they are sent', async () => {
    const chain = openChain();
    const { url } = await serve(chain);
    await chain.register(alice, NETUID);
    const body = JSON.stringify(await addStake(chain, 5));
    const replies = await Promise.all([post(url, body), post(url, body), post(url, body)]);
    replies.push(await post(url, body));
    expect(replies.map((r) => r.status)).toEqual([200, 200, 200, 200]);
    expect(await stakeOf(chain)).toBe(5);
  });

  it('are refused when anything in them was changed', async () => {
    const chain = openChain();
    const { url } = await serve(chain);
    await chain.register(alice, NETUID);
    await chain.register(bob, NETUID);
    const signed = await addStake(chain, 5);
    const call = { method: 'addStake', params: { netuid: NETUID, amount: 6 } };
    const changes = [
      { call },
      { nonce: '0'.repeat(32) },
      { atBlock: signed.atBlock - 1 },
      { signer: bob.hotkey },
      { signer: 'x' },
      { signature: `0x${'00'.repeat(64)}` },
    ];
    for (const change of changes) {
      const reply = await post(url, JSON.stringify({ ...signed, ...change }));
      expect(reply, JSON.stringify(change)).toEqual({ status: 401, code: 'chain.bad_signature' });
    }
    expect(await stakeOf(chain)).toBe(0);
  });

  it('are refused on another chain, when too old, and from the future', async () => {
    const chain = openChain();
    const { url } = await serve(chain);
    await chain.register(alice, NETUID);
    const old = await addStake(chain);
    expect(await post(url, JSON.stringify(await addStake(openChain())))).toMatchObject({ code: 'chain.wrong_genesis' });
    expect(await post(url, JSON.stringify(await addStake(chain, 1, 2)))).toMatchObject({ code: 'chain.expired' });
    await chain.advance(EXTRINSIC_LIFETIME_BLOCKS + 1);
    expect(await post(url, JSON.stringify(old))).toMatchObject({ code: 'chain.expired' });
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
  it('gets a coded answer and harms nothing', async () => {
    const chain = openChain();
    const { url } = await serve(chain);
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const bodies = [
      '',
      'null',
      '{',
      '[]',
      '{"call":{}}',
      deep,
      '{"__proto__":{"call":1}}',
      `"${'x'.repeat(5_000_000)}"`,
    ];
    for (const body of bodies) {
      const reply = await post(url, body);
      expect(reply.status).toBe(400);
      expect(reply.code).toBe('chain.invalid_call');
    }
    for (const path of ['/heads', '/heads?after=x', '/heads?after=99']) {
      const response = await fetch(url + path);
      expect(response.status, path).toBe(400);
    }
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
    for (const [request, params] of [
      ['blockHash', { block: -1 }],
      ['metagraph', { netuid: 'x' }],
      ['weights', { netuid: 1 }],
      ['head', []],
      ['balance', { address: '5x' }],
      ['preview', { address: alice.hotkey, call: { method: 'rob' } }],
    ] as const) {
      const response = await fetch(`${url}/ask/${request}`, { method: 'POST', body: JSON.stringify(params) });
      expect(response.status, request).toBe(400);
      expect(await response.json()).toMatchObject({ error: { code: 'chain.invalid_call' } });
    }
    expect((await fetch(`${url}/ask/constructor`, { method: 'POST', body: '{}' })).status).toBe(404);
    expect(await connectChain(url).head()).toEqual(await chain.head());
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
    const error = await expectCode(connectChain(server.url).head(), 'chain.unreachable');
    expect(error.retry).toBe('later');
    await expectCode(connectChain(server.url).register(alice, NETUID), 'chain.unreachable');
    const { url } = await listen(createServer((_, response) => response.end('hello')));
    await expectCode(connectChain(url).head(), 'chain.protocol');
    expect(() => connectChain('not a url')).toThrow(expect.objectContaining({ code: 'chain.invalid_options' }));
  });

  it('notices when another chain answers at the same address', async () => {
    const server = await serve(openChain());
    const client = connectChain(server.url);
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
    for await (const head of connectChain(first.url).heads(abort.signal)) {
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

  it('never doubles a write whose answer was lost', async () => {
    const chain = openChain();
    const { url } = await serve(chain);
    await chain.register(alice, NETUID);
    const proxy = await droppingProxy(url);
    const client = connectChain(proxy.url);

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

  it('signs a write anew when it never arrived and has expired', async () => {
    const chain = openChain();
    const { url } = await serve(chain);
    await chain.register(alice, NETUID);
    const proxy = await droppingProxy(url);
    const client = connectChain(proxy.url);
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
    const client = connectChain(server.url);
    const remote = expectCode(client.register(alice, NETUID), 'chain.closed');
    const local = expectCode(chain.register(bob, NETUID), 'chain.closed');
    await new Promise((resolve) => setTimeout(resolve, 200));
    chain.close();
    await Promise.all([remote, local]);
    await server.close();
    await server.close();
  });
});
