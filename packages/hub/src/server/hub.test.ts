/** @file The local hub against the unmodified @huggingface/hub client. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as hf from '@huggingface/hub';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LocalHub, serveHub } from '../index.ts';
import { newDirectory } from '../testing/hostile.ts';

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));
const directory = newDirectory();
const accessToken = 'hf_any';
let hub: LocalHub;
let hubUrl: string;

beforeAll(async () => {
  // The killed hub runs plain Node on `dist`, so `dist` has to be the sources under test.
  execFileSync(process.execPath, [join(PACKAGE, '../../node_modules/typescript/bin/tsc'), '-b', PACKAGE]);
  hub = await serveHub({ directory, port: 0 });
  hubUrl = hub.url;
}, 60_000);
afterAll(() => hub.close());

async function newRepo(name: string): Promise<string> {
  const repo = `alice/${name}`;
  await hf.createRepo({ repo, accessToken, hubUrl });
  return repo;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function upload(repo: string, files: Record<string, string | Uint8Array>, options: { parentCommit?: string } = {}) {
  const list = Object.entries(files).map(([path, content]) => ({ path, content: new Blob([content as string]) }));
  return hf.uploadFiles({ repo, files: list, accessToken, hubUrl, useXet: false, ...options });
}

describe('round trip', () => {
  test('upload, info, list, paths, download whole and in part, commits', async () => {
    const repo = await newRepo('round-trip');
    const weights = randomBytes(3_000_001);
    const local = join(newDirectory(), 'w.bin');
    writeFileSync(local, weights);
    const files = [
      { path: 'config.json', content: new Blob(['{"d_model":8}']) },
      { path: 'model.safetensors', content: pathToFileURL(local) },
      { path: 'empty.txt', content: new Blob([]) },
    ];
    const output = await hf.uploadFiles({ repo, files, commitTitle: 'first', accessToken, hubUrl, useXet: false });
    const revision = output!.commit.oid;
    expect(revision).toMatch(/^[0-9a-f]{40}$/);

    const info = await hf.modelInfo({ name: repo, hubUrl, additionalFields: ['sha', 'filePaths'] });
    expect(info).toMatchObject({ name: repo, private: false, sha: revision });
    expect(info.filePaths).toEqual(['config.json', 'empty.txt', 'model.safetensors']);

    const listing = await collect(hf.listFiles({ repo, revision, hubUrl }));
    const digest = createHash('sha256').update(weights).digest('hex');
    expect(listing.find((file) => file.path === 'model.safetensors')).toMatchObject({
      type: 'file',
      size: weights.length,
      lfs: { oid: digest, size: weights.length },
    });
    const paths = await hf.pathsInfo({ repo, revision, paths: ['config.json', 'absent'], hubUrl });
    expect(paths.map((entry) => [entry.path, entry.size])).toEqual([['config.json', 13]]);

    const blob = await hf.downloadFile({ repo, revision, path: 'model.safetensors', hubUrl });
    expect(blob!.size).toBe(weights.length);
    expect(Buffer.from(await blob!.arrayBuffer()).equals(weights)).toBe(true);
    const part = Buffer.from(await blob!.slice(1_000_000, 1_000_100).arrayBuffer());
    expect(part.equals(weights.subarray(1_000_000, 1_000_100))).toBe(true);
    expect(await (await hf.downloadFile({ repo, path: 'empty.txt', hubUrl }))!.text()).toBe('');
    expect(await hf.downloadFile({ repo, path: 'absent', hubUrl })).toBeNull();
    expect(await hf.fileExists({ repo, path: 'config.json', hubUrl })).toBe(true);
    expect(await hf.fileExists({ repo, path: 'absent', hubUrl })).toBe(false);

    const commits = await collect(hf.listCommits({ repo, hubUrl }));
    expect(commits.map((commit) => commit.title)).toEqual(['first', 'initial commit']);
  });

  test('an old revision keeps its content; deleting a file is a commit; nothing changed is no commit', async () => {
    const repo = await newRepo('history');
    const first = (await upload(repo, { 'a.txt': 'one', 'b.txt': 'b' }))!.commit.oid;
    const second = (await upload(repo, { 'a.txt': 'two' }))!.commit.oid;
    expect((await upload(repo, { 'a.txt': 'two' }))!.commit.oid).toBe(second);
    const removed = await hf.deleteFiles({ repo, paths: ['b.txt'], accessToken, hubUrl });
    const read = async (revision: string) => (await hf.downloadFile({ repo, revision, path: 'a.txt', hubUrl }))!.text();
    expect([await read(first), await read(second), await read('main')]).toEqual(['one', 'two', 'two']);
    const names = async (revision: string) =>
      (await collect(hf.listFiles({ repo, revision, hubUrl }))).map((file) => file.path);
    expect(await names(second)).toEqual(['a.txt', 'b.txt']);
    expect(await names(removed!.commit.oid)).toEqual(['a.txt']);
  });

  test('folders: listed one level at a time or all at once, and snapshotDownload reads them', async () => {
    const repo = await newRepo('folders');
    await upload(repo, { 'top.txt': 't', 'deep/er/file.txt': 'f' });
    const entries = async (options: object) =>
      (await collect(hf.listFiles({ repo, hubUrl, ...options }))).map((entry) => `${entry.type} ${entry.path}`);
    expect(await entries({})).toEqual(['directory deep', 'file top.txt']);
    expect(await entries({ path: 'deep' })).toEqual(['directory deep/er']);
    expect(await entries({ recursive: true })).toEqual([
      'directory deep',
      'directory deep/er',
      'file deep/er/file.txt',
      'file top.txt',
    ]);
    const cacheDir = newDirectory();
    const snapshot = await hf.snapshotDownload({ repo, hubUrl, cacheDir });
    expect(existsSync(join(snapshot, 'deep/er/file.txt'))).toBe(true);
  });

  test('files given inline at creation, and models listed by author', async () => {
    const repo = 'bob/inline';
    await hf.createRepo({ repo, accessToken, hubUrl, files: [{ path: 'README.md', content: new Blob(['# hi']) }] });
    expect(await (await hf.downloadFile({ repo, path: 'README.md', hubUrl }))!.text()).toBe('# hi');
    const models = await collect(hf.listModels({ search: { owner: 'bob' }, hubUrl }));
    expect(models.map((model) => model.name)).toEqual([repo]);
  });
});

describe('ownership', () => {
  test('a private repository is absent for readers, and comes back; a deleted one is gone', async () => {
    const repo = await newRepo('hidden');
    const revision = (await upload(repo, { 'a.txt': 'a' }))!.commit.oid;
    const settings = async (body: object) =>
      (await fetch(`${hubUrl}/api/models/${repo}/settings`, { method: 'PUT', body: JSON.stringify(body) })).status;
    expect(await settings({ private: true })).toBe(200);
    await expect(hf.modelInfo({ name: repo, hubUrl })).rejects.toMatchObject({ statusCode: 404 });
    await expect(hf.downloadFile({ repo, revision, path: 'a.txt', hubUrl })).rejects.toMatchObject({ statusCode: 404 });
    expect(await settings({ visibility: 'public' })).toBe(200);
    expect(await hf.repoExists({ repo, hubUrl })).toBe(true);
    expect(await settings({})).toBe(400);
    await hf.deleteRepo({ repo, accessToken, hubUrl });
    expect(await hf.repoExists({ repo, hubUrl })).toBe(false);
  });

  test('refusals: existing repository, bad names, unknown revision, stale parent, other branches', async () => {
    const repo = await newRepo('refusals');
    const status = async (call: Promise<unknown>) =>
      call.then(
        () => 'accepted',
        (error: { statusCode: number }) => error.statusCode,
      );
    expect(await status(hf.createRepo({ repo, accessToken, hubUrl }))).toBe(409);
    expect(await status(hf.createRepo({ repo: 'alice/..', accessToken, hubUrl }))).toBe(400);
    expect(await status(hf.modelInfo({ name: repo, revision: 'f'.repeat(40), hubUrl }))).toBe(404);
    expect(await status(hf.modelInfo({ name: repo, revision: '../../main', hubUrl }))).toBe(404);
    expect(await status(upload('alice/nowhere', { 'a.txt': 'a' }))).toBe(404);
    expect(await status(upload(repo, { '../escape': 'a' }))).toBe(400);
    const first = (await upload(repo, { 'a.txt': 'a' }))!.commit.oid;
    await upload(repo, { 'a.txt': 'b' });
    expect(await status(upload(repo, { 'a.txt': 'c' }, { parentCommit: first }))).toBe(412);
  });

  test('an upload that is not what it was announced to be is refused and leaves nothing', async () => {
    const oid = createHash('sha256').update('right').digest('hex');
    const put = async (body: string, size: number) =>
      (await fetch(`${hubUrl}/lfs/${oid}?size=${size}`, { method: 'PUT', body })).status;
    expect(await put('wrong', 5)).toBe(400);
    expect(await put('right and more', 5)).toBe(400);
    expect(await put('rig', 5)).toBe(400);
    expect(existsSync(join(directory, 'blobs', oid.slice(0, 2), oid))).toBe(false);
    expect(readdirSync(join(directory, 'tmp'))).toEqual([]);
    expect(await put('right', 5)).toBe(200);
  });

  test.each(['{', '[]', '{"key":"file"}', '{"key":"lfsFile","value":{"path":"a","oid":"00"}}', ''])(
    'a broken commit body is a 400: %s',
    async (body) => {
      const repo = `alice/broken-${createHash('sha256').update(body).digest('hex').slice(0, 6)}`;
      await hf.createRepo({ repo, accessToken, hubUrl });
      const answer = await fetch(`${hubUrl}/api/models/${repo}/commit/main`, { method: 'POST', body });
      expect(answer.status).toBe(400);
    },
  );
});

describe('durability', () => {
  test('twelve publishers at once: all commits are on one line of history and no file is lost', async () => {
    const repo = await newRepo('busy');
    const names = Array.from({ length: 12 }, (_, i) => `file-${i}.bin`);
    const outputs = await Promise.all(names.map((name) => upload(repo, { [name]: randomBytes(50_000) })));
    const listing = await collect(hf.listFiles({ repo, hubUrl }));
    expect(listing.map((file) => file.path)).toEqual([...names].sort());
    const history = (await collect(hf.listCommits({ repo, hubUrl }))).map((commit) => commit.oid);
    expect(history).toHaveLength(13);
    expect(new Set(history)).toEqual(new Set([...outputs.map((output) => output!.commit.oid), history.at(-1)]));
  });

  test('SIGKILL while publishers write: every acknowledged revision is whole, main is one of them or newer', async () => {
    const own = newDirectory();
    const script = `import { serveHub } from ${JSON.stringify(`file://${PACKAGE}dist/index.js`)};
      console.log((await serveHub({ directory: ${JSON.stringify(own)}, port: 0 })).url);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const url = line.toString().trim();
    const repo = 'alice/killed';
    await hf.createRepo({ repo, accessToken, hubUrl: url });
    const acknowledged: string[] = [];
    const publish = async (name: string) => {
      for (let i = 0; ; i++) {
        const files = [{ path: name, content: new Blob([`${name} ${i} `.repeat(20_000)]) }];
        const output = await hf.uploadFiles({ repo, files, accessToken, hubUrl: url, useXet: false });
        if (acknowledged.push(output!.commit.oid) === 15) child.kill('SIGKILL');
      }
    };
    await Promise.allSettled(['a', 'b', 'c'].map(publish));
    const again = await serveHub({ directory: own, port: 0 });
    const history = (await collect(hf.listCommits({ repo, hubUrl: again.url }))).map((commit) => commit.oid);
    expect(acknowledged.length).toBeGreaterThanOrEqual(15);
    expect(history).toEqual(expect.arrayContaining(acknowledged));
    for (const revision of history) {
      for (const file of await collect(hf.listFiles({ repo, revision, hubUrl: again.url }))) {
        const blob = await hf.downloadFile({ repo, revision, path: file.path, hubUrl: again.url });
        const digest = createHash('sha256')
          .update(Buffer.from(await blob!.arrayBuffer()))
          .digest('hex');
        expect(digest).toBe(file.lfs!.oid);
      }
    }
    expect(readdirSync(join(own, 'tmp'))).toEqual([]);
    await again.close();
  });

  test('a taken port is said so', async () => {
    const port = Number(new URL(hubUrl).port);
    const other = newDirectory();
    await expect(serveHub({ directory: other, port })).rejects.toMatchObject({ code: 'hub.port_in_use' });
  });
});
