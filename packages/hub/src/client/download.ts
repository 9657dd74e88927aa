/** @file One file from the hub to the cache: metered, resumed where a connection was cut, checked before it has a name. */
import { createHash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { QuasarError } from '@quasar/base';
import type { Cache } from './cache.ts';
import { digestMismatch, protocol, sizeMismatch, unreachable } from './failures.ts';
import type { GuardedFetch } from './guarded-fetch.ts';
import type { HubLimits } from './limits.ts';
import { type Clock, Retries } from './retry.ts';

export interface FileAddress {
  url: string;
  /** For messages: repository, revision and path. */
  what: string;
}

/**
 * Bytes [start, end) of a file.
 * @param options.sizeBytes size of the whole file, when known: checked against what the hub says
 * @returns the chunks, and where they begin: 0 when a hub that ignores ranges sends the whole file
 */
export async function readBytes(
  guarded: GuardedFetch,
  address: FileAddress,
  options: { start: number; end: number; sizeBytes?: number | undefined; signal?: AbortSignal | undefined },
): Promise<{ start: number; chunks: AsyncGenerator<Uint8Array> }> {
  const { what } = address;
  const { start, end, sizeBytes, signal } = options;
  const range = `bytes=${start}-${end - 1}`;
  const answer = await guarded.get(address.url, { headers: { range }, what, signal });
  const [, first, total] = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(answer.headers.get('content-range') ?? '') ?? [];
  const saidBytes = total ?? answer.headers.get('content-length');
  let failure: QuasarError | undefined;
  if (sizeBytes !== undefined && saidBytes !== null && Number(saidBytes) !== sizeBytes) {
    failure = sizeMismatch(`${what}: listed with ${sizeBytes} bytes, the hub now says ${saidBytes}`);
  } else if (total !== undefined && Number(total) < end) {
    failure = sizeMismatch(`${what}: has ${total} bytes, wanted up to byte ${end}`);
  } else if (answer.status === 206 ? Number(first) !== start : sizeBytes === undefined) {
    failure = protocol(`${what}: asked for ${range}, got "${answer.headers.get('content-range') ?? 'the whole file'}"`);
  }
  if (failure !== undefined) {
    answer.discard();
    throw failure;
  }
  if (answer.status === 206) return { start, chunks: answer.read(end - start) };
  return { start: 0, chunks: answer.read(sizeBytes as number) };
}

/**
 * Downloads one file into the cache.
 * @throws QuasarError `hub.digest_mismatch`, and those of `GuardedFetch.get` and `metered`
 */
export async function downloadToCache(
  guarded: GuardedFetch,
  cache: Cache,
  address: FileAddress,
  file: { sizeBytes: number; sha256: string },
  options: FillOptions,
): Promise<void> {
  const temporary = cache.newTemporaryPath();
  const handle = await open(temporary, 'wx', 0o644);
  try {
    const digest = await fill(handle, guarded, address, file.sizeBytes, options);
    if (digest !== file.sha256) {
      throw digestMismatch(`${address.what}: sha256 is ${digest}, listed was ${file.sha256}`);
    }
    await handle.sync();
    await handle.close();
    await cache.keep(temporary, file.sha256);
  } finally {
    await handle.close();
    await rm(temporary, { force: true });
  }
}

interface FillOptions {
  limits: HubLimits;
  clock: Clock;
  signal: AbortSignal;
}

/** @returns the SHA-256 of the `sizeBytes` bytes written */
async function fill(
  handle: FileHandle,
  guarded: GuardedFetch,
  address: FileAddress,
  sizeBytes: number,
  { limits, clock, signal }: FillOptions,
): Promise<string> {
  let hash = createHash('sha256');
  let have = 0;
  const { downloadTimeoutMs } = limits;
  const retries = new Retries({
    ...{ what: address.what, clock, signal },
    limits: { ...limits, lastRetryMs: downloadTimeoutMs },
  });
  while (have < sizeBytes) {
    const before = have;
    try {
      const { start, chunks } = await readBytes(guarded, address, { start: have, end: sizeBytes, sizeBytes, signal });
      if (start !== have) {
        hash = createHash('sha256');
        have = 0;
      }
      for await (const chunk of chunks) {
        for (let done = 0; done < chunk.length; ) {
          done += (await handle.write(chunk, done, chunk.length - done, have + done)).bytesWritten;
        }
        hash.update(chunk);
        have += chunk.length;
      }
      if (have < sizeBytes) throw unreachable(`${address.what}: the hub stopped at byte ${have} of ${sizeBytes}`);
    } catch (error) {
      if (have - before >= limits.minWindowBytes) retries.movedOn();
      await retries.pauseAfter(error);
    }
  }
  return hash.digest('hex');
}
