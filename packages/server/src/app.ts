/**
 * @file The application: every route over one store, with what runs behind them (chain watch, king follower).
 *
 *     GET  /health                 200 {status, ...} | 503 while models load
 *     GET  /api/dashboard.json     the dashboard (wire.ts)
 *     GET  /api/events             the log as server-sent events
 *     GET  /feed.json              crowns and disqualifications as a JSON Feed
 *     GET  /v1/models[/{id}]       OpenAI-compatible
 *     POST /v1/chat/completions    OpenAI-compatible
 *     POST /v1/completions         OpenAI-compatible
 *     GET  /*                      the built page
 */
import { randomUUID } from 'node:crypto';
import { connectChain } from '@quasar/chain';
import type { HubClient } from '@quasar/hub';
import { Engine } from '@quasar/infer';
import type { Store } from '@quasar/store';
import { Hono } from 'hono';
import type { Logger } from 'pino';
import { ChainWatch, type WatchedChain } from './chain-watch.ts';
import { DashboardReader } from './dashboard/dashboard.ts';
import { publicFeed } from './dashboard/public-feed.ts';
import { eventStream } from './event-stream.ts';
import { createLog } from './log.ts';
import { KingFollower } from './models/king-follower.ts';
import { ModelShelf } from './models/model-shelf.ts';
import type { TextEngine } from './models/text-engine.ts';
import { ApiError, toApiError } from './openai/api-error.ts';
import { CHAT_LIMITS, type ChatLimits } from './openai/chat-request.ts';
import { openAiRoutes } from './openai/routes.ts';
import { Turnstile } from './openai/turnstile.ts';
import { securityHeaders } from './security-headers.ts';
import { StaticFiles } from './static-files.ts';
import { validatorHealth } from './validator-health.ts';

export interface AppOptions {
  store: Store;
  /** The chain as a URL of `serveChain` or as an object; without it the page shows no block, validators or consensus. */
  chainUrl?: string | undefined;
  chain?: WatchedChain | undefined;
  netuid?: number | undefined;
  /** Where kings are downloaded from; without it `king` never answers. */
  hub?: HubClient | undefined;
  models?: {
    /** Checkpoint directory of the base student, served as `base`. */
    baseDirectory?: string | undefined;
    /** How a checkpoint directory becomes an engine. Default: `Engine` of `@quasar/infer`. */
    load?: ((directory: string) => Promise<TextEngine>) | undefined;
    /** Largest king that is downloaded. Default 4 GiB. */
    maxTotalBytes?: number | undefined;
  };
  /** Where a validator of this home keeps what it downloads under that name; without it `/health` tells no use of its cache. */
  cacheDirectory?: ((name: string) => string) | undefined;
  /** The built page (`apps/web/dist`). */
  webDirectory?: string | undefined;
  limits?: Partial<AppLimits> | undefined;
  log?: Logger | undefined;
}

export interface AppLimits extends ChatLimits {
  maxBodyBytes: number;
  /** Answers computed at once. They take turns token by token, so a short one does not wait for a long one. */
  maxRunning: number;
  maxWaiting: number;
  maxStreams: number;
  heartbeatMs: number;
}

export const APP_LIMITS: AppLimits = {
  ...CHAT_LIMITS,
  maxBodyBytes: 1 << 20,
  maxRunning: 4,
  maxWaiting: 16,
  maxStreams: 100,
  heartbeatMs: 5000,
};

export interface App {
  readonly hono: Hono;
  readonly shelf: ModelShelf;
  readonly log: Logger;
  /** Resolves when the base model is on the shelf (or failed, which is logged and shown by `/health`). */
  readonly ready: Promise<void>;
  /** Stops what runs behind the routes and ends open streams. The store stays open: it is the caller's. */
  close(): Promise<void>;
}

export function createApp(options: AppOptions): App {
  const { store } = options;
  const log = options.log ?? createLog();
  const limits = { ...APP_LIMITS, ...options.limits };
  const load = options.models?.load ?? ((directory: string) => Engine.load(directory));
  const stop = new AbortController();
  const shelf = new ModelShelf();
  const turnstile = new Turnstile(limits);
  const files = new StaticFiles(options.webDirectory);

  const ownChain = options.chainUrl ? connectChain(options.chainUrl) : null;
  const chainPort = options.chain ?? ownChain;
  const chain =
    chainPort &&
    new ChainWatch({
      chain: chainPort,
      netuid: options.netuid ?? 24,
      onChange: (online, error) => {
        if (online) log.info('chain answers');
        else log.warn({ err: error }, 'chain does not answer');
      },
    });
  const dashboard = new DashboardReader(store, chain);
  const follower =
    options.hub &&
    new KingFollower({
      store,
      hub: options.hub,
      shelf,
      load,
      maxTotalBytes: options.models?.maxTotalBytes ?? 4 * 2 ** 30,
      log,
    });

  let baseError: string | null = null;
  const loadBase = async (directory: string) => {
    shelf.baseIsLoading = true;
    try {
      const engine = await load(directory);
      if (stop.signal.aborted) engine.dispose();
      else shelf.putBase(engine);
    } catch (error) {
      baseError = error instanceof Error ? error.message : String(error);
      log.error({ err: error, directory }, 'base model not loaded');
    } finally {
      shelf.baseIsLoading = false;
    }
  };
  const ready = options.models?.baseDirectory ? loadBase(options.models.baseDirectory) : Promise.resolve();

  const hono = new Hono();
  hono.use(securityHeaders);
  hono.use(async (c, next) => {
    const requestId = randomUUID();
    const startMs = performance.now();
    await next();
    c.res.headers.set('X-Request-Id', requestId);
    const { status } = c.res;
    const level = status >= 500 ? 'warn' : c.req.path === '/health' ? 'debug' : 'info';
    log[level](
      { requestId, method: c.req.method, path: c.req.path, status, ms: Math.round(performance.now() - startMs) },
      'request',
    );
  });
  hono.onError((error, c) => {
    const answer = toApiError(error);
    if (answer.detail.code === 'internal_error' && !c.req.raw.signal.aborted) log.error({ err: error }, 'route failed');
    return answer.response();
  });
  hono.notFound((c) => {
    const isApi = /^\/(api|v1)(\/|$)/.test(c.req.path);
    const file = !isApi && (c.req.method === 'GET' || c.req.method === 'HEAD') ? files.answer(c) : null;
    return (
      file ??
      new ApiError(404, {
        code: 'not_found',
        type: 'invalid_request_error',
        message: `No route for ${c.req.method} ${c.req.path.slice(0, 200)}.`,
      }).response()
    );
  });

  hono.get('/health', (c) => {
    const kingError = follower?.lastError ?? null;
    const isFirstKing = shelf.kingIsLoading && !shelf.king && !shelf.hasBase;
    const isLoading = shelf.baseIsLoading || (isFirstKing && !kingError);
    const isDegraded = baseError !== null || kingError !== null || chain?.view().online === false;
    dashboard.catchUp();
    const status = isLoading ? 'loading' : isDegraded ? 'degraded' : 'ok';
    const body = {
      status,
      uptime_s: Math.floor(process.uptime()),
      last_seq: store.lastSeq(),
      chain: chain?.view() ?? null,
      validator: validatorHealth(dashboard.log.contest, chain?.view().block ?? null, options.cacheDirectory),
      models: {
        king: shelf.king,
        king_error: kingError,
        base: shelf.hasBase,
        base_error: baseError,
        running: turnstile.running,
        waiting: turnstile.waiting,
      },
      page: files.hasPage,
    };
    c.header('Cache-Control', 'no-store');
    return c.json(body, isLoading ? 503 : 200);
  });
  hono.get('/api/dashboard.json', (c) => {
    c.header('Cache-Control', 'public, max-age=5, stale-while-revalidate=30');
    return c.json(dashboard.read());
  });
  hono.get('/feed.json', (c) => {
    dashboard.catchUp();
    c.header('Cache-Control', 'public, max-age=30');
    c.header('Content-Type', 'application/feed+json');
    return c.body(JSON.stringify(publicFeed(dashboard.log.announcements, dashboard.log.contest)));
  });
  const { maxStreams, heartbeatMs, maxBodyBytes } = limits;
  hono.route('/api', eventStream({ store, chain, maxStreams, heartbeatMs, signal: stop.signal }));
  hono.route('/v1', openAiRoutes({ shelf, turnstile, limits, maxBodyBytes, signal: stop.signal, log }));

  const close = async () => {
    stop.abort();
    await Promise.all([chain?.close(), follower?.close(), ready]);
    await ownChain?.close();
    shelf.close();
  };
  return { hono, shelf, log, ready, close };
}
