/** @file Crowns in a real log, checkpoints on a real hub, real engines: the king that answers is the king that reigns. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHubClient, type HubClient, type LocalHub, serveHub } from '@quasar/hub';
import { Engine } from '@quasar/infer';
import { openStore, type Store } from '@quasar/store';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createLog } from '../log.ts';
import { writeRandomCheckpoint } from '../testing/checkpoint.ts';
import { KingFollower } from './king-follower.ts';
import { ModelShelf } from './model-shelf.ts';

/** Loaded machines are slow; a wait that ends sooner costs nothing. */
const PATIENT = { timeout: 20_000 };

const FILES = ['config.json', 'model.safetensors', 'tokenizer.json'];
let root: string;
let hub: LocalHub;
let client: HubClient;
let revisions: string[];
let store: Store;
let shelf: ModelShelf;
let follower: KingFollower | null;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quasar-king-'));
  hub = await serveHub({ directory: join(root, 'hub'), port: 0 });
  client = createHubClient({ url: hub.url, cacheDirectory: join(root, 'cache') });
  revisions = [];
  for (const seed of ['first', 'second']) {
    const directory = join(root, seed);
    await writeRandomCheckpoint(directory, seed);
    const files = FILES.map((path) => ({ path, content: join(directory, path) }));
    files.push({ path: 'README.md', content: join(directory, 'config.json') });
    revisions.push((await client.publish('team/model', files)).revision);
  }
}, 60_000);

afterAll(async () => {
  await hub?.close();
  rmSync(root, { recursive: true });
});

beforeEach(() => {
  store = openStore({ path: ':memory:' });
  shelf = new ModelShelf();
  follower = null;
});

afterEach(async () => {
  await follower?.close();
  shelf.close();
  store.close();
});

function follow(change: Partial<ConstructorParameters<typeof KingFollower>[0]> = {}): KingFollower {
  follower = new KingFollower({
    store,
    hub: client,
    shelf,
    load: (directory) => Engine.load(directory),
    maxTotalBytes: 1e9,
    log: createLog('silent'),
    ...change,
  });
  return follower;
}

const crown = (index: number, change: object = {}) =>
  store.append('king.crowned', {
    id: `king ${index}`,
    uid: 7 + index,
    hotkey: '5x',
    repo: 'team/model',
    revision: revisions[index],
    crownedAtBlock: 100 + index,
    reign: index + 1,
    previous: null,
    ...change,
  });

it('loads the king that reigned at the start, then each new one', async () => {
  crown(0);
  follow();
  expect(shelf.kingIsLoading).toBe(true);
  await expect
    .poll(() => shelf.king, PATIENT)
    .toEqual({ uid: 7, repo: 'team/model', revision: revisions[0], crownedAtBlock: 100 });
  const old = shelf.borrow('king');
  crown(1);
  await expect.poll(() => shelf.king?.revision, PATIENT).toBe(revisions[1]);
  expect(shelf.kingIsLoading).toBe(false);
  // The one on loan goes on: it is freed when it comes back.
  const tokens: number[] = [];
  for await (const { token } of old.engine.stream(Int32Array.of(1, 2, 3), { maxNewTokens: 3, stopTokens: [] }))
    tokens.push(token);
  expect(tokens).toHaveLength(3);
  old.release();
});

it('keeps the old king while the new one cannot be had, and says why', async () => {
  crown(0);
  const followed = follow();
  await expect.poll(() => shelf.king?.revision, PATIENT).toBe(revisions[0]);
  crown(1, { revision: 'f'.repeat(40) });
  await expect.poll(() => followed.lastError?.code, PATIENT).toBe('server.king_removed');
  expect(shelf.king?.revision).toBe(revisions[0]);
  crown(1);
  await expect.poll(() => shelf.king?.revision, PATIENT).toBe(revisions[1]);
  expect(followed.lastError).toBeNull();
});

it('takes a removed king down, also when he was removed before the start', async () => {
  crown(0);
  follow();
  await expect.poll(() => shelf.king?.revision, PATIENT).toBe(revisions[0]);
  store.append('submission.rejected', { id: 'somebody else', status: 'REMOVED' });
  store.append('submission.rejected', { id: 'king 0', status: 'REMOVED' });
  await expect.poll(() => shelf.king, PATIENT).toBeNull();
  await follower?.close();
  follow();
  expect([shelf.kingIsLoading, shelf.list()]).toEqual([false, []]);
});

it('refuses a king that is too large', async () => {
  crown(0);
  const followed = follow({ maxTotalBytes: 1000 });
  await expect.poll(() => followed.lastError?.code, PATIENT).toBe('hub.too_large');
  expect(shelf.king).toBeNull();
});

it('stays alive after an event that is none', async () => {
  follow();
  store.append('king.crowned', { uid: 'seven' });
  crown(0);
  await expect.poll(() => shelf.king?.uid, PATIENT).toBe(7);
});
