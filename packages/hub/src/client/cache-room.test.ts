/** @file The quota of the cache: who goes, who stays, what is refused, and what killed processes leave. Real files, real processes. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createHubClient, type HubClient, type HubFile, type LocalHub, serveHub } from '../index.ts';
import { newDirectory } from '../testing/hostile.ts';
import { snapshotDirectory } from './cache.ts';
import { cacheUsage } from './cache-room.ts';

const MODEL_BYTES = 100_000;
let hub: LocalHub;
let publisher: HubClient;

beforeAll(async () => {
  hub = await serveHub({ directory: newDirectory(), port: 0 });
  publisher = createHubClient({ url: hub.url, cacheDirectory: newDirectory() });
});
afterAll(() => hub.close());

interface Model {
  repo: string;
  revision: string;
  files: HubFile[];
}

async function model(repo: string, content = randomBytes(MODEL_BYTES)): Promise<Model> {
  const { revision } = await publisher.publish(repo, [{ path: 'w.bin', content }]);
  return { repo, revision, files: (await publisher.list(repo, revision))! };
}

const models = (name: string, count: number) =>
  Promise.all(Array.from({ length: count }, (_, i) => model(`${name}/m${i}`)));

const open = (cacheDirectory: string, quotaModels: number) =>
  createHubClient({ url: hub.url, cacheDirectory, quotaBytes: quotaModels * MODEL_BYTES });

const get = (client: HubClient, { repo, revision, files }: Model) =>
  client.download(repo, revision, { files, maxTotalBytes: 10 * MODEL_BYTES });

const isThere = (cache: string, { repo, revision }: Model) => existsSync(snapshotDirectory(cache, repo, revision));

/** As if it was last used so long ago. */
function age(cache: string, { repo, revision }: Model, minutes: number): void {
  const then = new Date(Date.now() - minutes * 60_000);
  utimesSync(snapshotDirectory(cache, repo, revision), then, then);
}

test('the least recently used revision goes, with its contents; one that is held stays', async () => {
  const cache = newDirectory();
  const client = open(cache, 3);
  const [king, old, recent, next] = (await models('lru', 4)) as [Model, Model, Model, Model];
  for (const one of [king, old, recent]) await get(client, one);
  for (const one of [old, recent]) client.release(one.repo, one.revision);
  for (const [one, minutes] of [
    [king, 99],
    [old, 50],
    [recent, 10],
  ] as const)
    age(cache, one, minutes);
  await get(client, next);
  expect([king, old, recent, next].map((one) => isThere(cache, one))).toEqual([true, false, true, true]);
  expect(cacheUsage(cache)).toEqual({ bytes: 3 * MODEL_BYTES, revisions: 3 });
  // What went is downloaded again.
  client.release(next.repo, next.revision);
  age(cache, next, 5);
  await get(client, old);
  expect([king, old, recent, next].map((one) => isThere(cache, one))).toEqual([true, true, false, true]);
});

test('what nobody needs is dropped when a client says so, with a quota or without', async () => {
  for (const quotaBytes of [9 * MODEL_BYTES, undefined]) {
    const cache = newDirectory();
    const client = createHubClient({ url: hub.url, cacheDirectory: cache, quotaBytes });
    const content = randomBytes(MODEL_BYTES);
    const king = await model('drop/king', content);
    const same = await model('drop/same', content);
    const [old] = (await models('drop-old', 1)) as [Model];
    for (const one of [king, same, old]) await get(client, one);
    for (const one of [same, old]) client.release(one.repo, one.revision);
    client.dropUnused();
    expect([king, same, old].map((one) => isThere(cache, one))).toEqual([true, false, false]);
    expect(cacheUsage(cache)).toEqual({ bytes: MODEL_BYTES, revisions: 1 });
    expect(readdirSync(join(cache, 'tmp'))).toEqual([]);
    // What went is downloaded again.
    await get(client, old);
    expect(isThere(cache, old)).toBe(true);
  }
});

test('contents that two revisions share stay as long as one of them', async () => {
  const cache = newDirectory();
  const client = open(cache, 2);
  const content = randomBytes(MODEL_BYTES);
  const first = await model('shared/a', content);
  const second = await model('shared/b', content);
  const [third, fourth] = (await models('shared-other', 2)) as [Model, Model];
  for (const one of [first, second]) await get(client, one);
  expect(cacheUsage(cache).bytes).toBe(MODEL_BYTES);
  client.release(first.repo, first.revision);
  age(cache, first, 9);
  await get(client, third);
  expect(isThere(cache, first)).toBe(true); // nothing had to go
  await expect(get(client, fourth)).rejects.toMatchObject({ code: 'hub.cache_full' });
  expect(isThere(cache, second)).toBe(true);
});

test('what cannot fit is refused before a byte is read, and nothing goes for it', async () => {
  const cache = newDirectory();
  const client = open(cache, 2);
  const [small, other] = (await models('full', 2)) as [Model, Model];
  const large = await model('full/large', randomBytes(3 * MODEL_BYTES));
  await get(client, small);
  client.release(small.repo, small.revision);
  await expect(get(client, large)).rejects.toMatchObject({
    code: 'hub.cache_full',
    retry: 'later',
    message: expect.stringMatching(/0\.000300 GB more do not fit into a cache of 0\.000200 GB/),
  });
  expect(isThere(cache, small)).toBe(true);
  expect(readdirSync(join(cache, 'tmp'))).toEqual([]);
  await get(client, other);
  expect(isThere(cache, small)).toBe(true);
});

test('what another process uses stays, and is free when it was killed; so is what it left half done', async () => {
  const cache = newDirectory();
  const [used, next] = (await models('killed', 2)) as [Model, Model];
  const code = `
    import { createHubClient } from ${JSON.stringify(new URL('../index.ts', import.meta.url).href.replace('/src/', '/dist/').replace('.ts', '.js'))};
    import { writeFileSync, readdirSync } from 'node:fs';
    const client = createHubClient({ url: ${JSON.stringify(hub.url)}, cacheDirectory: ${JSON.stringify(cache)}, quotaBytes: 150000 });
    const { repo, revision, files } = ${JSON.stringify(used)};
    await client.download(repo, revision, { files, maxTotalBytes: 1e9 });
    const id = readdirSync(${JSON.stringify(join(cache, 'uses'))})[0].replace('.json', '');
    writeFileSync(${JSON.stringify(join(cache, 'tmp'))} + '/' + id + '-half', 'half');
    console.log('ready');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const client = open(cache, 1.5);
  expect(readdirSync(join(cache, 'tmp'))).toHaveLength(1);
  await expect(get(client, next)).rejects.toMatchObject({ code: 'hub.cache_full' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
  const after = open(cache, 1.5);
  expect(readdirSync(join(cache, 'tmp'))).toEqual([]);
  await get(after, next);
  expect([used, next].map((one) => isThere(cache, one))).toEqual([false, true]);
});

test('two clients that fill one small cache at once both get whole files', async () => {
  const cache = newDirectory();
  const all = await models('race', 8);
  const clients = [open(cache, 4), open(cache, 4)];
  await Promise.all(
    clients.map(async (client, side) => {
      for (let i = 0; i < 24; i++) {
        const one = all[(i * (side + 1)) % all.length]!;
        const directory = await get(client, one);
        expect(statSync(join(directory, 'w.bin')).size).toBe(MODEL_BYTES);
        client.release(one.repo, one.revision);
      }
    }),
  );
  expect(cacheUsage(cache).bytes).toBeLessThanOrEqual(4 * MODEL_BYTES);
});
