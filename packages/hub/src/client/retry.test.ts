/** @file Which failures are asked again, after which pauses, and when it ends; real sockets, given time. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { createHubClient } from '../index.ts';
import { newDirectory, REVISION, sendRange, serve } from '../testing/hostile.ts';
import type { Clock } from './retry.ts';

/** A clock that stands still but for the pauses, and remembers them. */
class GivenTime implements Clock {
  readonly pauses: number[] = [];
  #nowMs = 0;
  nowMs = () => this.#nowMs;
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.pauses.push(ms);
    this.#nowMs += ms;
    signal?.throwIfAborted();
  }
}

type Answer = [status: number, headers?: Record<string, string>];

/** A hub that gives these answers first, and the file `abc` from then on. */
async function hubWith(answers: Answer[], clock = new GivenTime()) {
  let asked = 0;
  const bytes = Buffer.from('abc');
  const listed = { type: 'file', path: 'w.bin', size: 3, oid: 'b'.repeat(40) };
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const url = await serve((request, response) => {
    const [status, headers] = answers[asked++] ?? [200];
    if (status !== 200) return response.writeHead(status, headers).end();
    if (request.url?.startsWith('/api/'))
      return response.end(JSON.stringify([{ ...listed, lfs: { oid: sha256, size: 3 } }]));
    sendRange(request, response, bytes);
  });
  const client = createHubClient({ url, cacheDirectory: newDirectory(), clock });
  return { client, clock, asked: () => asked, file: { path: 'w.bin', sizeBytes: 3, sha256 } };
}

const WANTED = { code: 'hub.unreachable', retry: 'later' };

test('a listing, a range and a download survive three failures', async () => {
  const bad: Answer[] = [[500], [429], [503]];
  const listing = await hubWith(bad);
  expect(await listing.client.list('a/b', REVISION)).toEqual([listing.file]);
  expect(listing.clock.pauses).toEqual([500, 1500, 4000]);
  const range = await hubWith(bad);
  expect(Buffer.from(await range.client.readRange('a/b', REVISION, 'w.bin', 1, 3)).toString()).toBe('bc');
  expect(range.clock.pauses).toEqual([500, 1500, 4000]);
  const file = await hubWith(bad);
  await file.client.download('a/b', REVISION, { files: [file.file], maxTotalBytes: 10 });
  expect(file.clock.pauses).toEqual([500, 1500, 4000]);
});

test('the fourth failure goes out as it is', async () => {
  const { client, asked } = await hubWith(Array.from({ length: 9 }, (): Answer => [502]));
  await expect(client.list('a/b', REVISION)).rejects.toMatchObject(WANTED);
  expect(asked()).toBe(4);
});

test('what is final, and what another try does not change, is asked once', async () => {
  for (const answer of [[404, { 'x-error-code': 'RepoNotFound' }], [404], [403], [416]] as Answer[]) {
    const { client, asked } = await hubWith([answer]);
    await client.list('a/b', REVISION).catch(() => null);
    expect(asked()).toBe(1);
  }
});

test('a hub that names a pause gets it, in seconds or as a date, but not a long one', async () => {
  const short = await hubWith([
    [429, { 'retry-after': '7' }],
    [429, { 'retry-after': '0' }],
  ]);
  await short.client.list('a/b', REVISION);
  expect(short.clock.pauses).toEqual([7000, 1500]);
  const date = new Date(Date.now() + 10_000).toUTCString();
  const dated = await hubWith([[503, { 'retry-after': date }]]);
  await dated.client.list('a/b', REVISION);
  expect(dated.clock.pauses[0]).toBeGreaterThan(5000);
  const long = await hubWith([[503, { 'retry-after': '86400' }]]);
  await expect(long.client.list('a/b', REVISION)).rejects.toMatchObject(WANTED);
  expect(long.clock.pauses).toEqual([]);
});

test('no try begins later than a minute after the first', async () => {
  const clock = new GivenTime();
  const sleep = clock.sleep.bind(clock);
  clock.sleep = (ms, signal) => sleep(ms + 40_000, signal); // a machine that was asleep
  const { client, asked } = await hubWith([[500], [500], [500]], clock);
  await expect(client.list('a/b', REVISION)).rejects.toMatchObject(WANTED);
  expect(asked()).toBe(3);
});

test('an abort ends a pause at once', async () => {
  const stop = new AbortController();
  const clock = new GivenTime();
  const sleep = clock.sleep.bind(clock);
  clock.sleep = (ms, signal) => {
    stop.abort();
    return sleep(ms, signal);
  };
  const { client, asked } = await hubWith([[500]], clock);
  await expect(client.list('a/b', REVISION, stop)).rejects.toMatchObject({ code: 'hub.cancelled' });
  expect(asked()).toBe(1);
});
