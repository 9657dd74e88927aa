/** @file The hub client against the real local hub: publish, list, read, download, cache, and what is refused first. */
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deleteRepo } from '@huggingface/hub';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHubClient, type HubClient, isFlatFileName, isRepoName, type LocalHub, serveHub } from '../index.ts';
import { newDirectory } from '../testing/hostile.ts';

let hub: LocalHub;
let client: HubClient;
const cacheDirectory = newDirectory();
const weights = randomBytes(2_500_000);
const UNKNOWN_REVISION = 'f'.repeat(40);

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

beforeAll(async () => {
  hub = await serveHub({ directory: newDirectory(), port: 0 });
  client = createHubClient({ url: hub.url, cacheDirectory });
});
afterAll(() => hub.close());

async function publishModel(repo: string): Promise<string> {
  const local = join(newDirectory(), 'w.bin');
  writeFileSync(local, weights);
  const { revision } = await client.publish(repo, [
    { path: 'config.json', content: Buffer.from('{"d_model":8}') },
    { path: 'model.safetensors', content: local },
    { path: 'empty.txt', content: new Uint8Array() },
  ]);
  return revision;
}

const ALL = { maxTotalBytes: 10_000_000 };

describe('round trip', () => {
  test('publish, list, ranged read, download', async () => {
    const revision = await publishModel('miner/first');
    const files = (await client.list('miner/first', revision))!;
    expect(files).toEqual([
      { path: 'config.json', sizeBytes: 13, sha256: sha256(Buffer.from('{"d_model":8}')) },
      { path: 'empty.txt', sizeBytes: 0, sha256: sha256(new Uint8Array()) },
      { path: 'model.safetensors', sizeBytes: weights.length, sha256: sha256(weights) },
    ]);
    const part = await client.readRange('miner/first', revision, 'model.safetensors', 8, 1_000_008);
    expect(Buffer.from(part).equals(weights.subarray(8, 1_000_008))).toBe(true);
    expect(await client.readRange('miner/first', revision, 'config.json', 3, 3)).toHaveLength(0);
    const directory = await client.download('miner/first', revision, { files, ...ALL });
    expect(readdirSync(directory).sort()).toEqual(['config.json', 'empty.txt', 'model.safetensors']);
    expect(readFileSync(join(directory, 'model.safetensors')).equals(weights)).toBe(true);
    expect(readdirSync(join(cacheDirectory, 'tmp'))).toEqual([]);
  });

  test('publishing again replaces one file and keeps the others; the same content is the same revision', async () => {
    const first = await publishModel('miner/again');
    const change = [{ path: 'config.json', content: Buffer.from('{}') }];
    const second = await client.publish('miner/again', change, { message: 'smaller' });
    expect(second.revision).not.toBe(first);
    expect(await client.publish('miner/again', change)).toEqual(second);
    const names = (await client.list('miner/again', second.revision))!.map((file) => file.path);
    expect(names).toEqual(['config.json', 'empty.txt', 'model.safetensors']);
  });

  test('absent repository, revision and file; a private and a deleted repository', async () => {
    const revision = await publishModel('miner/absent');
    const files = (await client.list('miner/absent', revision))!;
    expect(await client.list('miner/nobody', revision)).toBeNull();
    expect(await client.list('miner/absent', UNKNOWN_REVISION)).toBeNull();
    const read = (path: string) => client.readRange('miner/absent', revision, path, 0, 1);
    await expect(read('absent.txt')).rejects.toMatchObject({ code: 'hub.not_found', retry: 'never' });
    const settings = { method: 'PUT', body: JSON.stringify({ private: true }) };
    await fetch(`${hub.url}/api/models/miner/absent/settings`, settings);
    expect(await client.list('miner/absent', revision)).toBeNull();
    await deleteRepo({ repo: 'miner/absent', hubUrl: hub.url, accessToken: 'hf_any' });
    expect(await client.list('miner/absent', revision)).toBeNull();
    const fresh = createHubClient({ url: hub.url, cacheDirectory: newDirectory() });
    await expect(fresh.download('miner/absent', revision, { files, ...ALL })).rejects.toMatchObject({
      code: 'hub.not_found',
    });
  });

  test('publishers at once, through clients of their own', async () => {
    const names = Array.from({ length: 6 }, (_, i) => `shard-${i}.bin`);
    const revisions = await Promise.all(
      names.map((path) => {
        const own = createHubClient({ url: hub.url, cacheDirectory: newDirectory() });
        return own.publish('miner/crowd', [{ path, content: randomBytes(100_000) }]);
      }),
    );
    const listings = await Promise.all(revisions.map(({ revision }) => client.list('miner/crowd', revision)));
    expect(new Set(revisions.map(({ revision }) => revision)).size).toBe(6);
    expect(listings.map((files) => files!.length).sort()).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('cache', () => {
  test('a second download needs no hub', async () => {
    const own = await serveHub({ directory: newDirectory(), port: 0 });
    const cached = createHubClient({ url: own.url, cacheDirectory: newDirectory() });
    const { revision } = await cached.publish('a/b', [{ path: 'w.bin', content: weights }]);
    const files = (await cached.list('a/b', revision))!;
    const directory = await cached.download('a/b', revision, { files, ...ALL });
    await own.close();
    expect(await cached.download('a/b', revision, { files, ...ALL })).toBe(directory);
    await expect(cached.list('a/b', revision)).rejects.toMatchObject({ code: 'hub.unreachable', retry: 'later' });
  });

  test('a file written to in place is noticed and fetched again', async () => {
    const revision = await publishModel('miner/damaged');
    const files = (await client.list('miner/damaged', revision))!;
    const directory = await client.download('miner/damaged', revision, { files, ...ALL });
    const path = join(directory, 'model.safetensors');
    chmodSync(path, 0o644);
    writeFileSync(path, randomBytes(weights.length)); // same size, also behind the cache's own name
    await client.download('miner/damaged', revision, { files, ...ALL });
    expect(readFileSync(path).equals(weights)).toBe(true);
  });

  test('an intact file with another time is hashed and trusted, without the hub', async () => {
    const revision = await publishModel('miner/touched');
    const files = (await client.list('miner/touched', revision))!;
    const path = join(await client.download('miner/touched', revision, { files, ...ALL }), 'model.safetensors');
    const { ino } = statSync(path);
    utimesSync(path, 1, 1);
    await client.download('miner/touched', revision, { files, ...ALL });
    expect(statSync(path).ino).toBe(ino);
  });
});

describe('refused before anything is sent', () => {
  const unused = createHubClient({ url: 'http://127.0.0.1:9', cacheDirectory: newDirectory() });
  const file = { path: 'a.bin', sizeBytes: 10, sha256: '0'.repeat(64) };

  test.each(['main', 'HEAD', 'abc', UNKNOWN_REVISION.toUpperCase(), `${UNKNOWN_REVISION}\n`, '../../x'])(
    'revision %j',
    async (revision) => {
      const refused = { code: 'hub.revision_not_pinned' };
      await expect(unused.list('a/b', revision)).rejects.toMatchObject(refused);
      await expect(unused.readRange('a/b', revision, 'f', 0, 1)).rejects.toMatchObject(refused);
      await expect(unused.download('a/b', revision, { files: [file], ...ALL })).rejects.toMatchObject(refused);
    },
  );

  test.each([
    ['too large together', [file, { ...file, path: 'b.bin' }], 'hub.too_large'],
    ['too many', Array.from({ length: 65 }, (_, i) => ({ ...file, sizeBytes: 0, path: `f${i}` })), 'hub.too_large'],
    ['a name twice', [file, { ...file, path: 'A.bin', sizeBytes: 1 }], 'hub.bad_file'],
    ['a path', [{ ...file, path: '../a' }], 'hub.name_refused'],
    ['no digest', [{ ...file, sha256: '' }], 'hub.bad_file'],
    ['a negative size', [{ ...file, sizeBytes: -1 }], 'hub.bad_file'],
  ])('download of %s', async (_name, files, code) => {
    const options = { files, maxTotalBytes: 15 };
    await expect(unused.download('a/b', UNKNOWN_REVISION, options)).rejects.toMatchObject({ code });
  });

  test('publish: all findings at once', async () => {
    const files = [
      { path: '.hidden', content: new Uint8Array() },
      { path: 'a', content: '/nowhere/at/all' },
      { path: 'A', content: new Uint8Array() },
    ];
    await expect(unused.publish('a/b', files)).rejects.toMatchObject({
      code: 'hub.publish_refused',
      data: {
        issues: [{ code: 'hub.name_refused' }, { code: 'hub.local_file_missing' }, { code: 'hub.name_twice' }],
      },
    });
    await expect(unused.publish('a', [])).rejects.toMatchObject({ code: 'hub.bad_repo' });
  });

  test.each([
    ['no address', { url: 'huggingface' }, 'hub.bad_url'],
    ['a path', { url: 'https://huggingface.co/api' }, 'hub.bad_url'],
    ['another scheme', { url: 'file:///' }, 'hub.bad_url'],
    ['a strange token', { url: 'https://huggingface.co', token: 'secret' }, 'hub.bad_token'],
    ['a token in the clear', { url: 'http://hub.example', token: 'hf_x' }, 'hub.insecure_url'],
  ])('client with %s', (_name, options, code) => {
    expect(() => createHubClient({ cacheDirectory, ...options })).toThrow(expect.objectContaining({ code }));
  });

  test('nobody listens: unreachable, later', async () => {
    const down = { code: 'hub.unreachable', retry: 'later' };
    await expect(unused.list('a/b', UNKNOWN_REVISION)).rejects.toMatchObject(down);
    await expect(unused.publish('a/b', [{ path: 'a', content: new Uint8Array() }])).rejects.toMatchObject(down);
  });
});

test('property: a name that passes is one plain path segment', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'ab./\\\0-_~ä') })),
      (text) => {
        if (isFlatFileName(text)) expect(encodeURIComponent(text)).toBe(text);
        if (isFlatFileName(text)) expect(join('/cache', text)).toBe(`/cache/${text}`);
        if (isRepoName(text)) expect(join('/cache', text)).toBe(`/cache/${text}`);
        if (isRepoName(text)) expect(text).toMatch(/^[\w.-]+\/[\w.-]+$/);
      },
    ),
    { numRuns: 500 },
  );
});
