/** @file A connection to something that is no node, or a hostile one, on a real socket. */
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { connectChain } from '../connect.ts';
import { expectCode } from '../testing/expect-code.ts';
import { Endpoints } from './endpoints.ts';
import { MAX_MESSAGE_BYTES, RpcRefusal, RpcSocket } from './socket.ts';

/** Answers each request with what `answer` makes of it; null: not at all. */
async function peer(
  answer: (request: { id: number; method: string }, socket: WebSocket) => string | null,
): Promise<string> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data) => {
      const said = answer(JSON.parse(String(data)), socket);
      if (said !== null) socket.send(said);
    });
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it.each([
  ['no JSON', () => '{"id":', 'chain.protocol'],
  ['no object', () => '7', 'chain.protocol'],
  ['neither result nor error', (id: number) => `{"id":${id}}`, 'chain.protocol'],
  ['a malformed error', (id: number) => `{"id":${id},"error":{"code":"x"}}`, 'chain.protocol'],
  ['too much', () => ' '.repeat(MAX_MESSAGE_BYTES + 1), 'chain.unreachable'],
])('%s ends in a code', async (_, say, code) => {
  const socket = await RpcSocket.connect(await peer(({ id }) => say(id)));
  await expectCode(socket.request('anything', []), code);
  socket.close();
});

it('fails every waiting request once when the connection breaks, and what comes after', async () => {
  const url = await peer(({ method }, socket) => {
    if (method === 'break') socket.terminate();
    return null;
  });
  const socket = await RpcSocket.connect(url);
  const waiting = [socket.request('wait', []), socket.request('wait', []), socket.request('break', [])];
  for (const request of waiting) await expectCode(request, 'chain.unreachable');
  await expectCode(socket.request('late', []), 'chain.unreachable');
});

it('gives up on silence, on abort and on close, and ignores answers nobody asked for', async () => {
  const url = await peer(({ method }) => (method === 'odd' ? '{"id":999,"result":1}' : null));
  const socket = await RpcSocket.connect(url);
  await expectCode(socket.request('odd', [], { timeoutMs: 30 }), 'chain.unreachable');
  const abort = new AbortController();
  const aborted = socket.request('wait', [], { signal: abort.signal });
  abort.abort();
  await expectCode(aborted, 'chain.unreachable');
  const closed = socket.request('wait', []);
  socket.close();
  await expectCode(closed, 'chain.closed');
});

it('hands refusals to whoever asked, cut to a length that can be shown', async () => {
  const socket = await RpcSocket.connect(
    await peer(({ id }) => JSON.stringify({ id, error: { code: -32601, message: 'x'.repeat(10_000) } })),
  );
  const error = await socket.request('none', []).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RpcRefusal);
  expect((error as RpcRefusal).code).toBe(-32601);
  expect((error as RpcRefusal).message.length).toBeLessThan(600);
  socket.close();
});

it('tells a server that is no chain from one that is not there', async () => {
  const chat = await peer(({ id }) => `{"id":${id},"error":{"code":-32601,"message":"no such method"}}`);
  const endpoints = new Endpoints([chat], { genesis: null, specName: null }, 200);
  await expectCode(endpoints.read('chain_getHeader', []), 'chain.protocol');
  endpoints.close();
  await expectCode(endpoints.read('chain_getHeader', []), 'chain.closed');
  const chain = connectChain('ws://127.0.0.1:9');
  await expectCode(chain.head(), 'chain.unreachable');
  await chain.close();
  expect(() => connectChain('finley')).toThrowError(expect.objectContaining({ code: 'chain.invalid_options' }));
  expect(() => connectChain('ws://a,http://b')).toThrowError(
    expect.objectContaining({ code: 'chain.invalid_options' }),
  );
});
