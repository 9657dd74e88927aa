/** @file Listings and statuses of hubs that lie, and submissions that try to; real sockets. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { against, type Handler, REVISION, sendRange, serve } from '../testing/hostile.ts';
import { gitBlobId } from './listing.ts';

describe('statuses', () => {
  test.each([
    [429, {}, 'hub.unreachable', 'later'],
    [500, {}, 'hub.unreachable', 'later'],
    [503, { 'retry-after': '7' }, 'hub.unreachable', 'later'],
    [404, {}, 'hub.protocol', 'later'], // a wrong URL must not look like a repository that is gone
    [403, {}, 'hub.unauthorized', 'later'],
    [401, { 'x-error-message': 'Invalid credentials in Authorization header' }, 'hub.unauthorized', 'later'],
  ])('%i %o is %s', async (status, headers, code, retry) => {
    const { client } = await against((_request, response) => response.writeHead(status, headers).end(), {
      token: 'hf_x',
    });
    await expect(client.list('a/b', REVISION)).rejects.toMatchObject({ code, retry });
    await expect(client.readRange('a/b', REVISION, 'w.bin', 0, 8)).rejects.toMatchObject({ code, retry });
  });

  test.each([
    [404, { 'x-error-code': 'RepoNotFound' }],
    [404, { 'x-error-code': 'RevisionNotFound' }],
    [403, { 'x-error-code': 'GatedRepo' }],
    [401, {}],
  ])('%i %o is absent', async (status, headers) => {
    const { client } = await against((_request, response) => response.writeHead(status, headers).end());
    expect(await client.list('a/b', REVISION)).toBeNull();
  });
});

describe('listings', () => {
  const good = { type: 'file', path: 'w.bin', size: 5, oid: 'b'.repeat(40), lfs: { oid: 'c'.repeat(64), size: 5 } };

  async function list(body: unknown, headers: Record<string, string> = {}) {
    const { client } = await against((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', ...headers });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
    return client.list('a/b', REVISION);
  }

  test('.gitattributes is passed over', async () => {
    expect(await list([{ ...good, path: '.gitattributes', lfs: undefined }, good])).toEqual([
      { path: 'w.bin', sizeBytes: 5, sha256: 'c'.repeat(64) },
    ]);
  });

  test.each([
    ['..', { path: '..' }, 'hub.name_refused'],
    ['a path upwards', { path: '../w.bin' }, 'hub.name_refused'],
    ['a folder', { path: 'sub/w.bin' }, 'hub.name_refused'],
    ['an absolute path', { path: '/etc/passwd' }, 'hub.name_refused'],
    ['a NUL', { path: 'w.bin\0' }, 'hub.name_refused'],
    ['a look-alike letter', { path: 'mоdel.safetensors' }, 'hub.name_refused'],
    ['a hidden file', { path: '.env' }, 'hub.name_refused'],
    ['a long name', { path: 'w'.repeat(201) }, 'hub.name_refused'],
    ['a directory', { type: 'directory' }, 'hub.entry_not_file'],
    ['the same name twice', { path: 'W.BIN' }, 'hub.name_twice'],
    ['a large file outside LFS', { path: 'x', size: 11 * 2 ** 20, lfs: undefined }, 'hub.git_files_too_large'],
  ])('%s', async (_name, change, code) => {
    await expect(list([good, { ...good, ...change }])).rejects.toMatchObject({
      code: 'hub.listing_refused',
      retry: 'never',
      data: { issues: [{ code }] },
    });
  });

  test.each([
    ['a negative size', { size: -1 }],
    ['a size beyond integers', { size: 2 ** 60 }],
    ['two sizes', { size: 6 }],
    ['a short digest', { lfs: { oid: 'cc', size: 5 } }],
    ['no path', { path: undefined }],
  ])('%s is the fault of the hub, not of the submission', async (_name, change) => {
    await expect(list([{ ...good, ...change }])).rejects.toMatchObject({ code: 'hub.protocol', retry: 'later' });
  });

  test('too many files', async () => {
    const many = Array.from({ length: 500 }, (_, i) => ({ ...good, path: `f${i}` }));
    await expect(list(many)).rejects.toMatchObject({ data: { issues: [{ code: 'hub.too_many_files' }] } });
    expect(await list(many.slice(0, 64))).toHaveLength(64);
  });

  test('what is bad is told beside what is good', async () => {
    const text = Buffer.from('{}');
    const config = { type: 'file', path: 'config.json', size: 2, oid: gitBlobId(text) };
    const gone = { ...config, path: 'gone.json', oid: 'd'.repeat(40) };
    const big = { ...config, path: 'big.txt', size: 11 * 2 ** 20 };
    const listed = [{ ...good, path: '../up' }, config, good, { ...good, type: 'directory', path: 'code' }, gone, big];
    const { client } = await against((request, response) => {
      if (request.url?.startsWith('/api/')) response.end(JSON.stringify(listed));
      else if (request.url?.includes('gone')) response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
      else sendRange(request, response, text);
    });
    const listing = await client.inspect('a/b', REVISION);
    expect(listing?.files.map(({ path }) => path)).toEqual(['config.json', 'w.bin']);
    expect(listing?.issues.map(({ code, path }) => [code, path])).toEqual([
      ['hub.name_refused', '../up'],
      ['hub.entry_not_file', 'code'],
      ['hub.git_files_too_large', 'big.txt'],
      ['hub.not_found', 'gone.json'],
    ]);
    expect(listing?.unread).toEqual(['../up', 'code', 'big.txt', 'gone.json']);
    expect(listing?.isComplete).toBe(true);
    expect(await client.list('a/b', REVISION)).toBeNull(); // listed and gone
  });

  test.each(['{', '{}', '"x"', 'null', '5', ''])('no listing at all: %s', async (body) => {
    await expect(list(body)).rejects.toMatchObject({ code: 'hub.protocol' });
  });

  test('pages without end', async () => {
    let url = '';
    const { client } = await against((request, response) => {
      url = `http://${request.headers.host}/next`;
      response.writeHead(200, { link: `<${url}>; rel="next"` }).end('[]');
    });
    await expect(client.list('a/b', REVISION)).rejects.toMatchObject({ code: 'hub.protocol' });
  });

  test('the next page on another host: refused, without the token', async () => {
    let asked = 0;
    const other = await serve(() => asked++);
    const { client } = await against(
      (_request, response) => response.writeHead(200, { link: `<${other}/x>; rel="next"` }).end('[]'),
      {
        token: 'hf_secret',
      },
    );
    await expect(client.list('a/b', REVISION)).rejects.toMatchObject({ code: 'hub.redirect_refused' });
    expect(asked).toBe(0);
  });

  test('a page larger than allowed', async () => {
    await expect(list(`["${'x'.repeat(5 * 2 ** 20)}"]`)).rejects.toMatchObject({ code: 'hub.listing_refused' });
  });
});

describe('files known by their git id only', () => {
  const text = Buffer.from('{"model_type":"quasar"}');
  const entry = { type: 'file', path: 'config.json', size: text.length, oid: gitBlobId(text) };

  function hub(served: Uint8Array, counts = { reads: 0 }): Handler {
    return (request, response) => {
      if (request.url?.startsWith('/api/')) return response.end(JSON.stringify([entry]));
      counts.reads++;
      sendRange(request, response, served);
    };
  }

  test('git blob id, as git computes it', () => {
    expect(gitBlobId(Buffer.from('hello\n'))).toBe('ce013625030ba8dba906f756967f9e9ca394464a');
  });

  test('are read once, checked and listed with their SHA-256', async () => {
    const counts = { reads: 0 };
    const { client } = await against(hub(text, counts));
    const expected = [
      { path: 'config.json', sizeBytes: text.length, sha256: createHash('sha256').update(text).digest('hex') },
    ];
    expect(await client.list('a/b', REVISION)).toEqual(expected);
    expect(await client.list('a/b', REVISION)).toEqual(expected);
    expect(counts.reads).toBe(1);
    const directory = await client.download('a/b', REVISION, { files: expected, maxTotalBytes: 1000 });
    expect(readFileSync(join(directory, 'config.json')).equals(text)).toBe(true);
  });

  test('with other bytes of the same length are refused', async () => {
    const { client } = await against(hub(Buffer.alloc(text.length)));
    await expect(client.list('a/b', REVISION)).rejects.toMatchObject({ code: 'hub.digest_mismatch' });
  });
});
