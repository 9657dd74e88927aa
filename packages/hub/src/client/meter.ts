/** @file Reading a body with a meter: a byte limit, a minimum speed, and an end when the caller gives up. */
import type { QuasarError } from '@quasar/base';
import { cancelled, sizeMismatch, unreachable } from './failures.ts';
import type { HubLimits } from './limits.ts';

export interface MeterOptions {
  /** For messages: what is read. */
  what: string;
  /** One byte more ends the transfer. */
  maxBytes: number;
  limits: Pick<HubLimits, 'windowMs' | 'minWindowBytes'>;
  signal?: AbortSignal | undefined;
}

/**
 * The chunks of `body`, and nothing beyond the limits. The connection is closed when the reader stops early.
 * @throws QuasarError `hub.size_mismatch` beyond `maxBytes`; `hub.unreachable` when too slow or cut; `hub.cancelled`
 */
export async function* metered(body: ReadableStream<Uint8Array>, options: MeterOptions): AsyncGenerator<Uint8Array> {
  const { what, maxBytes, limits, signal } = options;
  const reader = body.getReader();
  let failure: QuasarError | undefined;
  let interrupt = () => {};
  const fail = (error: QuasarError) => {
    failure = error;
    interrupt();
  };
  let windowBytes = 0;
  const timer = setInterval(() => {
    if (windowBytes < limits.minWindowBytes) {
      fail(unreachable(`${what}: ${windowBytes} bytes in ${limits.windowMs} ms, want ${limits.minWindowBytes}`));
    }
    windowBytes = 0;
  }, limits.windowMs);
  const onAbort = () => fail(cancelled(what, signal));
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    for (let total = 0; ; ) {
      const chunk = await new Promise<Uint8Array | null>((resolve, reject) => {
        interrupt = () => reject(failure);
        if (failure !== undefined) interrupt();
        reader.read().then(
          ({ value, done }) => resolve(done ? null : value),
          (cause) => reject(failure ?? unreachable(`${what}: the connection was cut after ${total} bytes`, { cause })),
        );
      });
      if (chunk === null) return;
      total += chunk.length;
      windowBytes += chunk.length;
      if (total > maxBytes) {
        throw sizeMismatch(`${what}: the hub sends more than the ${maxBytes} bytes that were asked for`);
      }
      yield chunk;
    }
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', onAbort);
    reader.cancel().catch(() => {}); // already cut: nothing left to close
  }
}

/** All chunks in one array. */
export async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
