/** @file Data sets: published to and read from the real local hub, apart from models; and listings that try to escape. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as hf from '@huggingface/hub';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHubClient, type HubClient, isDatasetName, type LocalHub, serveHub } from '../index.ts';
import { isDatasetPath } from '../names.ts';
import { against, newDirectory, REVISION, sendRange } from '../testing/hostile.ts';
import { gitBlobId } from './listing.ts';

let hub: LocalHub;
let client: HubClient;
const cacheDirectory = newDirectory();

beforeAll(async () => {
  hub = await serveHub({ directory: newDirectory(), port: 0 });
  client = createHubClient({ url: hub.url, cacheDirectory });
});
afterAll(() => hub.close());

const publish = (repo: string, files: Record<string, string>) =>
  client.publish(
    repo,
    Object.entries(files).map(([path, content]) => ({ path, content: Buffer.from(content) })),
  );
const everything = (paths: readonly string[]) => paths;

describe('round trip', () => {
  test('publish in folders, resolve, list, download', async () => {
    const repo = 'datasets/alice/books';
    const first = await publish(repo, {
      'README.md': '# books',
      'data/train-0.jsonl': 'one',
      'data/deep/x.txt': 'two',
    });
    expect(await client.resolveRevision(repo, 'main')).toBe(first.revision);
    const files = (await client.listDataset(repo, first.revision, (paths) => paths.filter((p) => p !== 'README.md')))!;
    expect(files.map(({ path, sizeBytes }) => [path, sizeBytes])).toEqual([
      ['data/deep/x.txt', 3],
      ['data/train-0.jsonl', 3],
    ]);
    const folder = await client.download(repo, first.revision, { files, maxTotalBytes: 6 });
    expect(readFileSync(join(folder, 'data/deep/x.txt'), 'utf8')).toBe('two');
    expect(folder.startsWith(join(cacheDirectory, 'snapshots', 'datasets', 'alice--books'))).toBe(true);
    const tooMuch = client.download(repo, first.revision, { files, maxTotalBytes: 5 });
    await expect(tooMuch).rejects.toMatchObject({ code: 'hub.too_large' });
  });

  test('a later commit moves main; the revision that was resolved stays as it is', async () => {
    const repo = 'datasets/alice/moving';
    const { revision } = await publish(repo, { 'a.txt': 'first' });
    const next = await publish(repo, { 'a.txt': 'second' });
    expect(await client.resolveRevision(repo, 'main')).toBe(next.revision);
    const files = (await client.listDataset(repo, revision, everything))!;
    const folder = await client.download(repo, revision, { files, maxTotalBytes: 100 });
    expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('first');
  });

  test('a data set is no model of the same name, and the other way round', async () => {
    const model = await publish('alice/both', { 'config.json': '{}' });
    expect(await client.resolveRevision('datasets/alice/both', 'main')).toBeNull();
    expect(await client.listDataset('datasets/alice/both', model.revision, everything)).toBeNull();
    await publish('datasets/alice/both', { 'a.txt': 'text' });
    expect(await client.resolveRevision('alice/both', 'main')).toBe(model.revision);
    expect((await client.list('alice/both', model.revision))!.map(({ path }) => path)).toEqual(['config.json']);
  });

  test('the unmodified @huggingface/hub client reads, changes and deletes it', async () => {
    const repo = 'datasets/bob/others';
    const options = { repo, hubUrl: hub.url, accessToken: 'hf_any' };
    await hf.createRepo(options);
    await hf.uploadFiles({ ...options, useXet: false, files: [{ path: 'x/a.txt', content: new Blob(['text']) }] });
    expect(await (await hf.downloadFile({ ...options, path: 'x/a.txt' }))!.text()).toBe('text');
    expect(await hf.datasetInfo({ name: 'bob/others', hubUrl: hub.url })).toMatchObject({ name: 'bob/others' });
    await hf.deleteRepo(options);
    expect(await client.resolveRevision(repo, 'main')).toBeNull();
  });

  test('what is not there is null', async () => {
    expect(await client.resolveRevision('datasets/nobody/nothing', 'main')).toBeNull();
    expect(await client.listDataset('datasets/nobody/nothing', REVISION, everything)).toBeNull();
    expect(await client.resolveRevision('datasets/alice/books', 'no-branch')).toBeNull();
    expect(await client.resolveRevision('datasets/alice/books', REVISION)).toBe(REVISION);
  });
});

describe('names', () => {
  test.each([
    ['datasets/a/b', true],
    ['a/b', false],
    ['datasets/a', false],
    ['datasets/../b', false],
    ['spaces/a/b', false],
  ])('%s: %s', async (name, is) => expect(isDatasetName(name)).toBe(is));

  test.each(['a.txt', 'data/train-00000-of-00010.parquet', 'en/c4 (1).json.gz', 'lang=de/x.jsonl'])('%s', (path) => {
    expect(isDatasetPath(path)).toBe(true);
  });

  test.each(['../a', 'a/../b', '/a', 'a//b', 'a/', '.env', 'a/.git/x', 'a\\b', 'a\0', 'a/b.', 'ä.txt', '', 'C:/a'])(
    'not %j',
    (path) => {
      expect(isDatasetPath(path)).toBe(false);
    },
  );

  test('publish and download refuse them before anything is sent', async () => {
    const file = { path: '../a', sizeBytes: 1, sha256: 'a'.repeat(64) };
    const download = client.download('datasets/a/b', REVISION, { files: [file], maxTotalBytes: 9 });
    await expect(download).rejects.toMatchObject({ code: 'hub.name_refused' });
    await expect(publish('datasets/a/b', { '../a': 'x' })).rejects.toMatchObject({ code: 'hub.publish_refused' });
    await expect(publish('a/b', { 'x/a': 'x' })).rejects.toMatchObject({ code: 'hub.publish_refused' });
    await expect(client.listDataset('a/b', REVISION, everything)).rejects.toMatchObject({ code: 'hub.bad_repo' });
  });
});

describe('hubs that lie', () => {
  const entry = {
    type: 'file',
    path: 'data/a.txt',
    size: 5,
    oid: 'b'.repeat(40),
    lfs: { oid: 'c'.repeat(64), size: 5 },
  };
  const listing = (body: unknown, limits = {}) =>
    against((_request, response) => response.writeHead(200).end(JSON.stringify(body)), { limits });

  test.each([
    ['a path upwards', [{ ...entry, path: '../../a.txt' }]],
    ['a hidden folder', [{ ...entry, path: '.ssh/a.txt' }]],
    ['one name twice', [entry, { ...entry, path: 'data/A.txt' }]],
    ['git files that are too large', [{ ...entry, lfs: undefined, size: 2e9 }]],
  ])('%s is refused when it is chosen, and nobody minds when it is not', async (_, entries) => {
    const { client } = await listing(entries);
    await expect(client.listDataset('datasets/a/b', REVISION, everything)).rejects.toMatchObject({
      code: 'hub.listing_refused',
    });
    expect(await client.listDataset('datasets/a/b', REVISION, () => [])).toEqual([]);
  });

  test('more files than the limit', async () => {
    const entries = Array.from({ length: 6 }, (_, i) => ({ ...entry, path: `${i}.txt` }));
    const { client } = await listing(entries, { maxDatasetFiles: 5 });
    await expect(client.listDataset('datasets/a/b', REVISION, () => [])).rejects.toMatchObject({
      code: 'hub.listing_refused',
    });
  });

  test.each([['{"sha":"main"}'], ['{}'], ['null'], ['<html>']])('%s is no revision', async (body) => {
    const { client } = await against((_request, response) => response.writeHead(200).end(body));
    await expect(client.resolveRevision('datasets/a/b', 'main')).rejects.toMatchObject({ code: 'hub.protocol' });
  });

  test('a small file without LFS is read once and checked against its git id', async () => {
    const bytes = Buffer.from('{"text":"x"}\n');
    const { client, cache } = await against((request, response) => {
      if (!request.url!.includes('/tree/')) return sendRange(request, response, bytes);
      const plain = { type: 'file', path: 'data/a.jsonl', size: bytes.length, oid: gitBlobId(bytes) };
      response
        .writeHead(200)
        .end(JSON.stringify([{ type: 'directory', path: 'data', size: 0, oid: 'd'.repeat(40) }, plain]));
    });
    const files = (await client.listDataset('datasets/a/b', REVISION, everything))!;
    expect(files).toHaveLength(1);
    const folder = await client.download('datasets/a/b', REVISION, { files, maxTotalBytes: 100 });
    expect(readFileSync(join(folder, 'data/a.jsonl')).equals(bytes)).toBe(true);
    expect(existsSync(join(cache, 'snapshots/datasets/a--b', REVISION))).toBe(true);
  });
});
