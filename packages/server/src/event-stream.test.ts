/** @file The event stream over a real socket, read as a browser reads it. */
import { openStore, type Store } from '@quasar/store';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createApp } from './app.ts';
import { createLog } from './log.ts';
import { type Served, serve } from './serve.ts';

/** Loaded machines are slow; a wait that ends sooner costs nothing. */
const PATIENT = { timeout: 20_000 };

let store: Store;
let served: Served;
let open: AbortController[];

async function start(limits: { maxStreams?: number; heartbeatMs?: number } = {}): Promise<void> {
  served = await serve(createApp({ store, log: createLog('silent'), limits }), { port: 0 });
}

beforeEach(() => {
  store = openStore({ path: ':memory:' });
  open = [];
});

afterEach(async () => {
  for (const one of open) one.abort();
  await served.close();
  store.close();
});

interface Message {
  event: string;
  id: string | null;
  data: { seq: number; type?: string; data?: unknown };
}

/** Opens a stream and gives its messages one by one. */
async function connect(query = '', headers: Record<string, string> = {}) {
  const abort = new AbortController();
  open.push(abort);
  const response = await fetch(`${served.url}/api/events${query}`, { headers, signal: abort.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) throw new Error('no body');
  let text = '';
  const next = async (): Promise<Message> => {
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end >= 0) {
        const fields = new Map(
          text
            .slice(0, end)
            .split('\n')
            .map((line) => line.split(/: (.*)/s) as [string, string]),
        );
        text = text.slice(end + 2);
        return {
          event: fields.get('event') ?? 'message',
          id: fields.get('id') ?? null,
          data: JSON.parse(fields.get('data') ?? ''),
        };
      }
      const { done, value } = await reader.read();
      if (done) throw new Error('the stream ended');
      text += value;
    }
  };
  const nextEvent = async () => {
    for (;;) {
      const message = await next();
      if (message.event === 'message') return message;
    }
  };
  return { response, next, nextEvent, abort };
}

it('sends new events, with their seq as id', async () => {
  await start();
  store.append('a', { n: 1 });
  const stream = await connect();
  expect(stream.response.headers.get('content-type')).toBe('text/event-stream');
  expect(await stream.next()).toMatchObject({ event: 'heartbeat', id: null, data: { seq: 1, chain: null } });
  store.append('b', { n: 2 });
  expect(await stream.nextEvent()).toEqual({
    event: 'message',
    id: '2',
    data: { seq: 2, type: 'b', at_ms: expect.any(Number), data: { n: 2 } },
  });
});

it.each([
  ['Last-Event-ID', '', { 'last-event-id': '1' }],
  ['the query', '?after=1', {}],
  ['Last-Event-ID, which is the newer one,', '?after=0', { 'last-event-id': '1' }],
])('replays what was missed after %s', async (_, query, headers) => {
  await start();
  for (const type of ['a', 'b', 'c']) store.append(type, {});
  const stream = await connect(query, headers as Record<string, string>);
  expect([(await stream.nextEvent()).id, (await stream.nextEvent()).id]).toEqual(['2', '3']);
});

it('beats while nothing happens', async () => {
  await start({ heartbeatMs: 20 });
  const stream = await connect();
  for (let i = 0; i < 3; i++) expect((await stream.next()).event).toBe('heartbeat');
});

it.each(['-1', 'x', '1e3', '9'.repeat(20)])('refuses the position %s', async (position) => {
  await start();
  const response = await fetch(`${served.url}/api/events?after=${position}`);
  expect([response.status, (await response.json()).error.param]).toEqual([400, 'after']);
});

it('limits the open streams, and counts those that left', async () => {
  await start({ maxStreams: 1 });
  const first = await connect();
  await first.next();
  const refused = await fetch(`${served.url}/api/events`);
  expect([refused.status, (await refused.json()).error.code]).toEqual([503, 'too_many_streams']);
  first.abort.abort();
  await expect
    .poll(async () => {
      const again = await connect();
      if (again.response.status !== 200) again.abort.abort();
      return again.response.status;
    }, PATIENT)
    .toBe(200);
});
