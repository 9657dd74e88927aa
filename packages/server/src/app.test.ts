/** @file Every route but the OpenAI ones (openai/routes.test.ts), over a real store and a real chain. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DevChain, walletFromSeed } from '@quasar/chain';
import { openStore, type Store } from '@quasar/store';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { type App, type AppOptions, createApp } from './app.ts';
import { createLog } from './log.ts';
import { scripted } from './testing/checkpoint.ts';
import { sampleEvents } from './testing/sample-log.ts';
import type { Dashboard } from './wire.ts';

/** Loaded machines are slow; a wait that ends sooner costs nothing. */
const PATIENT = { timeout: 20_000 };

let store: Store;
let app: App;
const log = createLog('silent');

function start(options: Partial<AppOptions> = {}): App {
  app = createApp({ store, log, ...options });
  return app;
}

beforeEach(() => {
  store = openStore({ path: ':memory:' });
});

afterEach(async () => {
  await app.close();
  store.close();
});

async function dashboard(): Promise<Dashboard> {
  return (await (await app.hono.request('/api/dashboard.json')).json()) as Dashboard;
}

it('health: 503 while the base model loads, then 200', async () => {
  let finish = () => {};
  const gate = new Promise<void>((resolve) => {
    finish = resolve;
  });
  start({ models: { baseDirectory: 'base', load: () => gate.then(() => scripted('x')) } });
  const loading = await app.hono.request('/health');
  expect([loading.status, (await loading.json()).status]).toEqual([503, 'loading']);
  finish();
  await app.ready;
  const ready = await app.hono.request('/health');
  expect([ready.status, await ready.json()]).toMatchObject([200, { status: 'ok', models: { base: true, king: null } }]);
});

it('health: says what is wrong and still answers', async () => {
  start({ models: { baseDirectory: '/nonexistent' } });
  await app.ready;
  const response = await app.hono.request('/health');
  expect(response.status).toBe(200);
  const body = await response.json();
  expect(body.status).toBe('degraded');
  expect(body.models.base_error).toContain('config.json');
});

it('dashboard: an empty log', async () => {
  start();
  const response = await app.hono.request('/api/dashboard.json');
  expect(response.headers.get('cache-control')).toBe('public, max-age=5, stale-while-revalidate=30');
  expect(await response.json()).toMatchObject({
    seq: 0,
    last_event_ms: null,
    chain: null,
    king: null,
    consensus_king: null,
    state_king_uid: null,
    status: { mode: 'idle' },
    current_eval: null,
    submissions: [],
    validators: [],
    weights: null,
    history: [],
    reigns: [],
    rounds: [],
    events: [],
  });
});

it('health: names the validator, its rules and how it keeps things apart, and how late it is', async () => {
  const head = { number: 90, hash: '0x0' };
  const chain = {
    head: async () => head,
    blockTimeMs: async () => 0,
    metagraph: async () => ({ netuid: 24, atBlock: 90, neurons: [] }),
    weights: async () => [],
  };
  start({ chain });
  const health = async () => (await (await app.hono.request('/health')).json()).validator;
  expect(await health()).toBeNull();
  const told = { version: '1.2.3', node: 'v20', hotkey: '5key', isolation: 'process without network' };
  store.append('validator.started', { round: 1, atBlock: 41, ...told, configHash: 'abc', rulesVersion: '3' });
  store.append('round.started', { round: 1, startBlock: 40, activationBlock: 70, candidates: ['a'] });
  const named = { version: '1.2.3', hotkey: '5key', isolation: told.isolation, rules_hash: 'abc', rules_version: '3' };
  await expect.poll(health, PATIENT).toMatchObject({ ...named, last_round: 1, last_outcome: null, lag_blocks: 20 });
  store.append('round.finished', { round: 1, outcome: 'king_stays' });
  expect(await health()).toMatchObject({ last_outcome: 'king_stays', lag_blocks: 0, cache: null });
});

it('health: tells what the validator keeps of the hub', async () => {
  const caches = mkdtempSync(join(tmpdir(), 'quasar-caches-'));
  onTestFinished(() => rmSync(caches, { recursive: true }));
  start({ cacheDirectory: (name) => join(caches, name) });
  const health = async () => (await (await app.hono.request('/health')).json()).validator.cache;
  const told = { version: '1.2.3', node: 'v20', hotkey: '5key', isolation: 'none', configHash: 'a', rulesVersion: '3' };
  store.append('validator.started', { round: 1, atBlock: 41, ...told, cache: { name: 'me', quotaBytes: 5000 } });
  expect(await health()).toBeNull();
  for (const [part, file] of [['blobs', 'a'] as const, ['snapshots', 'ann--model/0/a'] as const]) {
    mkdirSync(dirname(join(caches, 'me', part, file)), { recursive: true });
    writeFileSync(join(caches, 'me', part, file), new Uint8Array(1234));
  }
  expect(await health()).toEqual({ bytes: 1234, quota_bytes: 5000, revisions: 1 });
});

it('dashboard: follows the log with each request', async () => {
  start();
  const events = sampleEvents();
  const half = events.findIndex((event) => event.type === 'king.crowned') + 1;
  store.appendAll(events.slice(0, half));
  const early = await dashboard();
  expect([early.king?.uid, early.state_king_uid, early.reigns.length]).toEqual([7, 7, 1]);
  store.appendAll(events.slice(half));
  const late = await dashboard();
  expect(late.seq).toBe(store.lastSeq());
  expect(late.king?.uid).toBe(4);
  expect(late.reigns[0]).toEqual(late.king);
  expect(late.history[0]?.king_composite).not.toBeNull();
  expect(late.status).toMatchObject({ mode: 'evaluating', round: 6 });
  expect(late.weights?.targets).toContainEqual({ uid: 4, weight: 0.9, is_king: true });
});

it('dashboard: modes follow the round', async () => {
  start();
  store.append('round.started', { round: 1, startBlock: 10, candidates: ['a'] });
  expect((await dashboard()).status.mode).toBe('active');
  store.append('round.finished', { round: 1, outcome: 'king_stays' });
  expect((await dashboard()).status).toMatchObject({ mode: 'round_wait', detail: 'Round 1 is finished' });
});

it('dashboard: tells the local king from the one the chain reveals', async () => {
  const chain = DevChain.open({ path: ':memory:', blockTimeMs: 0, weightsRateLimitBlocks: 1, tempo: 5 });
  try {
    const wallets = [1, 2, 3, 4, 5].map((byte) => walletFromSeed(new Uint8Array(32).fill(byte)));
    for (const wallet of wallets) await chain.register(wallet, 24);
    const [owner] = wallets as [(typeof wallets)[0]];
    await chain.addStake(owner, 24, 100);
    await chain.advance(5);
    await chain.setWeights(owner, 24, [{ uid: 3, weight: 1 }]);
    await chain.advance(10);
    store.appendAll(sampleEvents());
    start({ chain });
    await expect.poll(async () => (await dashboard()).consensus_king?.uid, PATIENT).toBe(3);
    const { chain: view, validators, state_king_uid, consensus_king } = await dashboard();
    expect(view).toMatchObject({ online: true, block: (await chain.head()).number });
    expect(validators.map((one) => one.uid)).toEqual([0]);
    expect([state_king_uid, consensus_king?.support_fraction]).toEqual([4, 1]);
    expect(consensus_king?.incentive_fraction).toBe(1);
  } finally {
    await app.close();
    chain.close();
  }
});

it('dashboard: a chain that is away is said to be away', async () => {
  start({ chainUrl: 'ws://127.0.0.1:9' });
  await expect.poll(async () => (await dashboard()).chain?.error, PATIENT).toBe('The chain does not answer.');
  expect((await (await app.hono.request('/health')).json()).status).toBe('degraded');
});

it('the public feed tells crowns and disqualifications, newest first', async () => {
  store.appendAll(sampleEvents());
  start();
  const response = await app.hono.request('/feed.json');
  const feed = await response.json();
  expect(response.headers.get('content-type')).toBe('application/feed+json');
  expect(feed.version).toBe('https://jsonfeed.org/version/1.1');
  expect(feed.items.length).toBeGreaterThan(3);
  const seqs: number[] = feed.items.map((item: { _quasar: { seq: number } }) => item._quasar.seq);
  expect(seqs).toEqual([...seqs].sort((a, b) => b - a));
  const crowns = feed.items.filter((item: { tags: string[] }) => item.tags[0] === 'crown');
  expect(crowns[0].title).toMatch(/^uid 4 \(.*\) dethrones uid 11 /);
});

it.each(['/', '/health', '/api/dashboard.json', '/v1/models', '/v1/nothing'])(
  '%s carries the security headers',
  async (path) => {
    start();
    const { headers } = await app.hono.request(path);
    expect(headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  },
);

it.each([
  ['GET', '/api/nothing'],
  ['GET', '/v1/nothing'],
  ['POST', '/health'],
  ['DELETE', '/'],
])('%s %s is an error body', async (method, path) => {
  start();
  const response = await app.hono.request(path, { method });
  expect([response.status, (await response.json()).error]).toEqual([
    404,
    { code: 'not_found', type: 'invalid_request_error', param: null, message: `No route for ${method} ${path}.` },
  ]);
});

it('a defect is logged and says nothing about the inside', async () => {
  const lines: string[] = [];
  const spy = createLog('silent');
  start({ log: Object.assign(spy, { error: (_: unknown, text: string) => lines.push(text) }) });
  store.close();
  const response = await app.hono.request('/api/dashboard.json');
  expect(response.status).toBeGreaterThanOrEqual(500);
  expect(JSON.stringify(await response.json())).not.toMatch(/ at |node_modules/);
  store = openStore({ path: ':memory:' });
});
