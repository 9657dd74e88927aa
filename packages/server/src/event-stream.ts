/**
 * @file `GET /api/events`: the contest log as server-sent events.
 *
 * `id` is the event's `seq`, so a browser that reconnects sends `Last-Event-ID` and misses nothing; `?after=<seq>`
 * does the same for a first connection. Without either, only new events are sent. `event: heartbeat` carries no id:
 * it says that the line is alive and which block the chain is at.
 */
import { sleep } from '@quasar/base';
import type { Store } from '@quasar/store';
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { ChainWatch } from './chain-watch.ts';
import { ApiError } from './openai/api-error.ts';

export interface EventStreamOptions {
  store: Store;
  chain: ChainWatch | null;
  maxStreams: number;
  /** A heartbeat at least this often; sooner when the chain has a new block. */
  heartbeatMs: number;
  /** Aborted when the server closes. */
  signal: AbortSignal;
}

/** How soon a new block shows. */
const TICK_MS = 500;

export function eventStream(options: EventStreamOptions): Hono {
  const { store, chain, maxStreams, heartbeatMs } = options;
  let open = 0;
  return new Hono().get('/events', (c) => {
    const afterSeq = position(c.req.header('last-event-id') ?? c.req.query('after')) ?? store.lastSeq();
    if (open >= maxStreams)
      throw new ApiError(503, {
        code: 'too_many_streams',
        type: 'server_error',
        message: `${open} event streams are open, which is the limit.`,
        retryAfterS: 10,
      });
    open++;
    c.header('X-Accel-Buffering', 'no');
    return streamSSE(c, async (stream) => {
      const gone = new AbortController();
      const signal = AbortSignal.any([gone.signal, c.req.raw.signal, options.signal]);
      stream.onAbort(() => gone.abort());
      const beat = async () => {
        const data = { seq: store.lastSeq(), now_ms: Date.now(), chain: chain?.view() ?? null };
        await stream.writeSSE({ event: 'heartbeat', data: JSON.stringify(data), retry: 2000 });
        return data.chain?.block ?? null;
      };
      const heartbeats = async () => {
        let block = await beat();
        let lastMs = Date.now();
        for (;;) {
          await sleep(Math.min(TICK_MS, heartbeatMs), signal);
          if (signal.aborted) return;
          if ((chain?.view().block ?? null) === block && Date.now() - lastMs < heartbeatMs) continue;
          block = await beat();
          lastMs = Date.now();
        }
      };
      const events = async () => {
        for await (const { seq, type, atMs, data } of store.follow({ afterSeq, signal })) {
          await stream.writeSSE({ id: String(seq), data: JSON.stringify({ seq, type, at_ms: atMs, data }) });
          if (signal.aborted) return;
        }
      };
      try {
        await Promise.all([heartbeats(), events()]);
      } finally {
        gone.abort();
        open--;
      }
    });
  });
}

function position(text: string | undefined): number | null {
  if (text === undefined || text === '') return null;
  if (!/^\d{1,15}$/.test(text))
    throw new ApiError(400, {
      code: 'invalid_value',
      type: 'invalid_request_error',
      param: 'after',
      message: 'The position in the log must be a whole number of at least 0.',
    });
  return Number(text);
}
