import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Hono } from 'hono';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { StaticFiles } from './static-files.ts';

let root: string;
let app: Hono;

const serve = (files: StaticFiles) => new Hono().notFound((c) => files.answer(c) ?? c.text('no', 404));

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-static-'));
  const web = join(root, 'web');
  mkdirSync(join(web, 'assets'), { recursive: true });
  writeFileSync(join(root, 'secret.txt'), 'secret');
  writeFileSync(join(web, 'index.html'), '<html>page</html>');
  writeFileSync(join(web, 'assets', 'app-1a2b.js'), 'let a = 1;');
  writeFileSync(join(web, 'favicon.svg'), '<svg/>');
  symlinkSync(join(root, 'secret.txt'), join(web, 'link.txt'));
  app = serve(new StaticFiles(web));
});

afterAll(() => rmSync(root, { recursive: true }));

it.each([
  ['/', 'text/html; charset=utf-8', 'no-cache'],
  ['/assets/app-1a2b.js', 'text/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
  ['/favicon.svg', 'image/svg+xml', 'no-cache'],
  ['/reigns/3', 'text/html; charset=utf-8', 'no-cache'],
])('serves %s as %s', async (path, type, cache) => {
  const response = await app.request(path);
  expect([response.status, response.headers.get('content-type'), response.headers.get('cache-control')]).toEqual([
    200,
    type,
    cache,
  ]);
});

it.each([
  '/secret.txt',
  '/../secret.txt',
  '/%2e%2e/secret.txt',
  '/..%2fsecret.txt',
  '/assets/../../secret.txt',
  '/link.txt',
  '/assets/none.js',
])('does not serve %s', async (path) => {
  const response = await app.request(path);
  expect(await response.text()).not.toContain('secret');
  expect(response.status).toBe(404);
});

it('compresses for those who can read it', async () => {
  const response = await app.request('/', { headers: { 'accept-encoding': 'br, gzip' } });
  expect(response.headers.get('content-encoding')).toBe('gzip');
  expect(gunzipSync(Buffer.from(await response.arrayBuffer())).toString()).toBe('<html>page</html>');
});

it('answers 304 to those who have it', async () => {
  const etag = (await app.request('/')).headers.get('etag') ?? '';
  const response = await app.request('/', { headers: { 'if-none-match': etag } });
  expect([response.status, await response.text()]).toEqual([304, '']);
});

it('explains a page that is not built', async () => {
  const response = await serve(new StaticFiles(join(root, 'nowhere'))).request('/');
  expect(response.status).toBe(503);
  expect(await response.text()).toContain('npm run build -w @quasar/web');
});
