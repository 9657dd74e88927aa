/**
 * @file The dev chain over HTTP with JSON (paths in wire.ts).
 *
 * Reads are public; a write is an extrinsic signed by its hotkey and answers when its block is durable.
 * Left out: authentication of readers and TLS. It is a development chain: bind it to loopback, the default.
 */
import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { QuasarError } from '@quasar/base';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { DevChain } from './dev-chain.ts';
import { isRequest } from './requests.ts';
import { errorToWire, GENESIS_HEADER, type Info, MAX_WAIT_MS, SERVICE_NAME } from './wire.ts';

const MAX_BODY_BYTES = 4 * 1024 * 1024;

const STATUS: Record<string, ContentfulStatusCode> = {
  'chain.bad_signature': 401,
  'chain.not_registered': 403,
  'chain.no_permit': 403,
  'chain.unknown_path': 404,
  'chain.expired': 409,
  'chain.nonce_reused': 409,
  'chain.wrong_genesis': 409,
  'chain.too_soon': 429,
  'chain.storage_failed': 503,
  'chain.internal': 500,
  'chain.busy': 503,
  'chain.closed': 503,
};

export interface ChainServer {
  /** `http://host:port` with the real port when 0 was asked for. */
  url: string;
  /** Stops listening and cuts open requests; the chain itself stays open. Idempotent. */
  close(): Promise<void>;
}

/** Serves until closed. Throws `chain.port_in_use`, or `chain.listen_failed` for any other reason. */
export async function serveChain(chain: DevChain, options: { port: number; host?: string }): Promise<ChainServer> {
  const host = options.host ?? '127.0.0.1';
  const server = createAdaptorServer({ fetch: createApp(chain).fetch }) as Server;
  const port = await listen(server, options.port, host);
  let closing: Promise<void> | null = null;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    close() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closing;
    },
  };
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port, host)));
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

function listenError(cause: NodeJS.ErrnoException, port: number, host: string): QuasarError {
  if (cause.code === 'EADDRINUSE') {
    return new QuasarError('chain.port_in_use', `port ${port} on ${host} is already in use`, {
      hint: 'stop the program that holds it (another chain?), choose another port, or use port 0 for any free one',
      data: { host, port },
      cause,
    });
  }
  const message = `cannot listen on ${host}:${port}: ${cause.code ?? cause.message}`;
  return new QuasarError('chain.listen_failed', message, { hint: 'check the host and the port number', cause });
}

function createApp(chain: DevChain): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    c.header(GENESIS_HEADER, chain.genesis);
  });
  app.onError((error, c) => {
    const known = error instanceof QuasarError ? error : internalError(error);
    return c.json(errorToWire(known), STATUS[known.code] ?? 400);
  });
  app.notFound((c) => {
    throw unknownPath(c);
  });

  app.get('/info', async (c) => {
    const blockTimeMs = await chain.blockTimeMs();
    return c.json({ service: SERVICE_NAME, genesis: chain.genesis, blockTimeMs } satisfies Info);
  });
  app.get('/heads', async (c) => {
    const waitMs = Math.min(integer('waitMs', c.req.query('waitMs') ?? '0'), MAX_WAIT_MS);
    const { signal } = c.req.raw;
    return c.json(await chain.nextHeads(integer('after', c.req.query('after')), { signal, waitMs }));
  });
  app.post('/ask/:request', bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge }), async (c) => {
    const request = c.req.param('request');
    if (!isRequest(request)) throw unknownPath(c);
    return c.json({ answer: await chain.answer(request, await json(c)) });
  });
  app.post('/extrinsics', bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge }), async (c) => {
    return c.json(await chain.submit(await json(c)));
  });
  return app;
}

async function json(c: Context): Promise<unknown> {
  try {
    return await c.req.json();
  } catch (cause) {
    throw new QuasarError('chain.invalid_call', 'the body of a request is JSON', { cause });
  }
}

function unknownPath(c: Context): QuasarError {
  return new QuasarError('chain.unknown_path', `the chain has no ${c.req.method} ${c.req.path}`);
}

function integer(name: string, text: string | undefined): number {
  if (text !== undefined && /^\d{1,15}$/.test(text)) return Number(text);
  throw new QuasarError('chain.invalid_call', `${name}: expected a whole number, got ${JSON.stringify(text ?? null)}`);
}

function tooLarge(): never {
  throw new QuasarError('chain.invalid_call', `a request has at most ${MAX_BODY_BYTES} bytes`);
}

/** A bug of ours: the process prints it, the caller learns only that it happened. */
function internalError(error: Error): QuasarError {
  process.emitWarning(error);
  return new QuasarError('chain.internal', 'the chain failed to answer; its log has the reason', { cause: error });
}
