/** @file The hub client against hubs that lie, stall, break off or point elsewhere; real sockets. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { createHubClient, type HubClient } from '../index.ts';
import { gitBlobId } from './listing.ts';

const REVISION = 'a'.repeat(40);
const content = randomBytes(300_000);
const file = { path: 'w.bin', sizeBytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(handler: Handler): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A client with small limits, so that nothing here waits. */
async function against(
  handler: Handler,
  options: { token?: string } = {},
): Promise<{ client: HubClient; cache: string }> {
  const cache = mkdtempSync(join(tmpdir(), 'quasar-hub-'));
  const limits = { retryDelayMs: 1, attempts: 3, answerTimeoutMs: 300, windowMs: 200, minWindowBytes: 5_000 };
  const client = createHubClient({ url: await serve(handler), cacheDirectory: cache, limits, ...options });
  return { client, cache };
}

function download(client: HubClient, signal?: AbortSignal): Promise<string> {
  return client.download('a/b', REVISION, { files: [file], maxTotalBytes: 1e9, signal });
}

function expectNothingKept(cache: string): void {
  for (const part of ['blobs', 'tmp', 'snapshots']) expect(readdirSync(join(cache, part))).toEqual([]);
}

/** Answers a ranged request from `bytes` as a correct hub would. */
function sendRange(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array): void {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const end = Math.min(Number(last) + 1, bytes.length);
  response.writeHead(206, { 'content-range': `bytes ${first}-${end - 1}/${bytes.length}` });
  response.end(bytes.subarray(Number(first), end));
}

describe('download', () => {
  test('a correct answer of this test server is accepted (so the refusals below mean something)', async () => {
    const { client } = await against((request, response) => sendRange(request, response, content));
    const directory = await download(client);
    expect(readFileSync(join(directory, 'w.bin')).equals(content)).toBe(true);
  });

  test('wrong bytes of the right length', async () => {
    const { client, cache } = await against((request, response) =>
      sendRange(request, response, randomBytes(content.length)),
    );
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.digest_mismatch' });
    expectNothingKept(cache);
  });

  test('a size other than listed is refused by its header', async () => {
    const { client, cache } = await against((request, response) => sendRange(request, response, Buffer.alloc(300_001)));
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.size_mismatch', retry: 'never' });
    expectNothingKept(cache);
  });

  test('an endless body without a length is cut at the listed size', async () => {
    let closed = false;
    const { client, cache } = await against((_request, response) => {
      response.on('close', () => {
        closed = true;
      });
      const more = () => {
        while (!closed && response.write(Buffer.alloc(65_536)));
        if (!closed) response.once('drain', more);
      };
      more();
    });
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.size_mismatch' });
    await expect.poll(() => closed).toBe(true);
    expectNothingKept(cache);
  });

  test.each(['gzip', 'br', 'identity, gzip'])('content-encoding %s', async (encoding) => {
    const { client, cache } = await against((_request, response) => {
      response.writeHead(200, { 'content-encoding': encoding });
      response.end(gzipSync(content));
    });
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.encoding_refused', retry: 'never' });
    expectNothingKept(cache);
  });

  test('drip: a byte at a time is given up, after the given number of tries', async () => {
    let requests = 0;
    const { client, cache } = await against((_request, response) => {
      requests++;
      response.writeHead(200, { 'content-length': content.length });
      const timer = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(timer));
    });
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.unreachable', retry: 'later' });
    expect(requests).toBe(3);
    expectNothingKept(cache);
  });

  test('no answer at all', async () => {
    const { client } = await against(() => {});
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.unreachable', retry: 'later' });
  });

  test('a connection cut twice is resumed where it stopped', async () => {
    const ranges: (string | undefined)[] = [];
    const { client } = await against((request, response) => {
      ranges.push(request.headers.range);
      const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1]);
      if (ranges.length === 3) return sendRange(request, response, content);
      response.writeHead(206, { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` });
      response.write(content.subarray(start, start + 100_000), () => setTimeout(() => response.destroy(), 20));
    });
    const directory = await download(client);
    expect(readFileSync(join(directory, 'w.bin')).equals(content)).toBe(true);
    expect(ranges).toEqual(['bytes=0-299999', 'bytes=100000-299999', 'bytes=200000-299999']);
  });

  test('a hub that ignores ranges is read from the start again', async () => {
    let requests = 0;
    const { client } = await against((_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      if (++requests === 2) return response.end(content);
      response.write(content.subarray(0, 1000), () => setTimeout(() => response.destroy(), 20));
    });
    const directory = await download(client);
    expect(readFileSync(join(directory, 'w.bin')).equals(content)).toBe(true);
  });

  test('a resumed answer that begins elsewhere is refused', async () => {
    let requests = 0;
    const { client, cache } = await against((_request, response) => {
      response.writeHead(206, { 'content-range': `bytes 0-${content.length - 1}/${content.length}` });
      if (++requests === 2) return response.end(content);
      response.write(content.subarray(0, 1000), () => setTimeout(() => response.destroy(), 20));
    });
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.protocol' });
    expectNothingKept(cache);
  });

  test('the caller gives up', async () => {
    const abort = new AbortController();
    const { client, cache } = await against((_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 1000), () => abort.abort());
    });
    await expect(download(client, abort.signal)).rejects.toMatchObject({ code: 'hub.cancelled' });
    expectNothingKept(cache);
  });
});

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
    await expect(download(client)).rejects.toMatchObject({ code, retry });
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

describe('redirects', () => {
  test('away from the hub: refused, and the other server is not asked', async () => {
    let asked = 0;
    const inside = await serve((_request, response) => {
      asked++;
      response.end('secret');
    });
    const { client } = await against((_request, response) =>
      response.writeHead(302, { location: `${inside}/admin` }).end(),
    );
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.redirect_refused', retry: 'never' });
    await expect(client.list('a/b', REVISION)).rejects.toMatchObject({ code: 'hub.redirect_refused' });
    expect(asked).toBe(0);
  });

  test('to another path of the hub: followed; in a circle: given up', async () => {
    const { client } = await against((request, response) => {
      if (request.url === '/moved') return sendRange(request, response, content);
      response.writeHead(302, { location: '/moved' }).end();
    });
    expect(readdirSync(await download(client))).toEqual(['w.bin']);
    const circle = await against((_request, response) => response.writeHead(302, { location: '/again' }).end());
    await expect(download(circle.client)).rejects.toMatchObject({ code: 'hub.protocol' });
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

describe('ranged reads', () => {
  const read = async (handler: Handler, start: number, end: number) =>
    (await against(handler)).client.readRange('a/b', REVISION, 'w.bin', start, end);

  test('a file that ends too early', async () => {
    const short: Handler = (request, response) => sendRange(request, response, content.subarray(0, 5));
    await expect(read(short, 0, 8)).rejects.toMatchObject({ code: 'hub.size_mismatch', retry: 'never' });
  });

  test('a hub that ignores the range, or sends more than was asked for', async () => {
    const whole: Handler = (_request, response) => response.end(content);
    await expect(read(whole, 0, 8)).rejects.toMatchObject({ code: 'hub.protocol' });
    const more: Handler = (_request, response) =>
      response.writeHead(206, { 'content-range': `bytes 0-7/${content.length}` }).end(content);
    await expect(read(more, 0, 8)).rejects.toMatchObject({ code: 'hub.size_mismatch' });
  });

  test.each([
    [5, 4],
    [-1, 4],
    [0, 2 ** 40],
    [0.5, 2],
  ])('[%d, %d) is no range', async (start, end) => {
    await expect(read(() => {}, start, end)).rejects.toMatchObject({ code: 'hub.bad_range' });
  });
});
