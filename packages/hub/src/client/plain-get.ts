/**
 * @file One GET over Node's own HTTP, which neither follows redirects nor unpacks anything, and where the addresses of a
 * connection can be checked. Headers are limited; the body comes as it is.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import type { LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeStream } from 'node:stream/web';

export interface PlainAnswer {
  status: number;
  headers: Headers;
  body: ReadableStream<Uint8Array>;
}

/** The hub's own headers take some 4 KiB. */
const MAX_HEADER_BYTES = 32 * 1024;

const AGENTS = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) };

export interface PlainGetOptions {
  headers: Record<string, string>;
  signal: AbortSignal;
  /** Default: that of the system. */
  lookup?: LookupFunction | undefined;
}

/** @throws what the connection throws (`ECONNREFUSED`, `HPE_HEADER_OVERFLOW`, ...), and what `lookup` gives */
export async function plainGet(url: URL, options: PlainGetOptions): Promise<PlainAnswer> {
  const [request, answer] = ask(url, options);
  try {
    return await answer;
  } catch (error) {
    // The hub closed an idle connection just when it was used again: nothing was asked yet.
    const isStale = request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
    if (!isStale || options.signal.aborted) throw error;
    return ask(url, options)[1];
  }
}

function ask(url: URL, { headers, signal, lookup }: PlainGetOptions): [http.ClientRequest, Promise<PlainAnswer>] {
  const isSecure = url.protocol === 'https:';
  const request = (isSecure ? https : http).request(url, {
    agent: AGENTS[isSecure ? 'https:' : 'http:'],
    headers: { accept: '*/*', 'user-agent': 'quasar', ...headers },
    maxHeaderSize: MAX_HEADER_BYTES,
    signal,
    ...(lookup === undefined ? {} : { lookup }),
  });
  const answer = new Promise<PlainAnswer>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (message) => {
      const pairs = Object.entries(message.headersDistinct).map(([name, values = []]): [string, string] => [
        name,
        values.join(', '),
      ]);
      const body = Readable.toWeb(message) as NodeStream as ReadableStream<Uint8Array>;
      resolve({ status: message.statusCode ?? 0, headers: new Headers(pairs), body });
    });
  });
  request.end();
  return [request, answer];
}
