/** @file Downloads and ranged reads from hubs that lie, stall, break off or point elsewhere; real sockets. */
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { HubClient } from '../index.ts';
import { against, type Handler, newDirectory, REVISION, sendAndCut, sendRange, serve } from '../testing/hostile.ts';

const content = randomBytes(300_000);
const file = { path: 'w.bin', sizeBytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };

function download(client: HubClient, signal?: AbortSignal): Promise<string> {
  return client.download('a/b', REVISION, { files: [file], maxTotalBytes: 1e9, signal });
}

function expectNothingKept(cache: string): void {
  for (const part of ['blobs', 'tmp', 'snapshots']) expect(readdirSync(join(cache, part))).toEqual([]);
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
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.size_mismatch', retry: 'later' });
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
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.encoding_refused', retry: 'later' });
    expectNothingKept(cache);
  });

  test('drip: a byte at a time is given up, after the given number of tries', async () => {
    let requests = 0;
    const dripping: Handler = (_request, response) => {
      requests++;
      response.writeHead(200, { 'content-length': content.length });
      const timer = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(timer));
    };
    const { client, cache } = await against(dripping, { limits: { windowMs: 100, minWindowBytes: 10_000 } });
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.unreachable', retry: 'later' });
    expect(requests).toBe(3);
    expectNothingKept(cache);
  });

  test('drip above the minimum speed ends with the time for the whole download', async () => {
    const slow: Handler = (_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      const timer = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(timer));
    };
    const { client, cache } = await against(slow, { limits: { downloadTimeoutMs: 200 } });
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.unreachable', retry: 'later' });
    expectNothingKept(cache);
  });

  test('no answer at all', async () => {
    const { client } = await against(() => {}, { limits: { answerTimeoutMs: 50 } });
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.unreachable', retry: 'later' });
  });

  test('a connection cut twice is resumed where it stopped', async () => {
    const ranges: (string | undefined)[] = [];
    const cache = newDirectory();
    const { client } = await against(
      (request, response) => {
        ranges.push(request.headers.range);
        if (ranges.length === 3) return sendRange(request, response, content);
        const [start, end] = [(ranges.length - 1) * 100_000, ranges.length * 100_000];
        response.writeHead(206, { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` });
        sendAndCut(response, content.subarray(start, end), cache, end);
      },
      { cache },
    );
    const directory = await download(client);
    expect(readFileSync(join(directory, 'w.bin')).equals(content)).toBe(true);
    expect(ranges).toEqual(['bytes=0-299999', 'bytes=100000-299999', 'bytes=200000-299999']);
  });

  test('a hub that ignores ranges is read from the start again', async () => {
    const cache = newDirectory();
    const ranges: (string | undefined)[] = [];
    const { client } = await against(
      (request, response) => {
        ranges.push(request.headers.range);
        response.writeHead(200, { 'content-length': content.length });
        if (ranges.length === 2) return response.end(content);
        sendAndCut(response, content.subarray(0, 1000), cache, 1000);
      },
      { cache },
    );
    const directory = await download(client);
    expect(readFileSync(join(directory, 'w.bin')).equals(content)).toBe(true);
    expect(ranges[1]).toBe('bytes=1000-299999');
  });

  test('a resumed answer that begins elsewhere is refused', async () => {
    const cache = newDirectory();
    let requests = 0;
    const { client } = await against(
      (_request, response) => {
        response.writeHead(206, { 'content-range': `bytes 0-${content.length - 1}/${content.length}` });
        if (++requests === 2) return response.end(content);
        sendAndCut(response, content.subarray(0, 1000), cache, 1000);
      },
      { cache },
    );
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

describe('ranged reads', () => {
  const read = async (handler: Handler, start: number, end: number) =>
    (await against(handler)).client.readRange('a/b', REVISION, 'w.bin', start, end);

  test('a file that ends too early', async () => {
    const short: Handler = (request, response) => sendRange(request, response, content.subarray(0, 5));
    await expect(read(short, 0, 8)).rejects.toMatchObject({ code: 'hub.size_mismatch', retry: 'later' });
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
    await expect(download(client)).rejects.toMatchObject({ code: 'hub.redirect_refused', retry: 'later' });
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
