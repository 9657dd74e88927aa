/** @file Test helper: a hub that answers as a test says, over a real socket, and a client for it. */
import { mkdtempSync, readdirSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { createHubClient, type HubClient, type HubLimits } from '../index.ts';

export const REVISION = 'a'.repeat(40);

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

export function newDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'quasar-hub-'));
}

export async function serve(handler: Handler): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export async function against(
  handler: Handler,
  options: { token?: string; limits?: Partial<HubLimits>; cache?: string } = {},
): Promise<{ client: HubClient; cache: string }> {
  const { cache = newDirectory(), limits, ...rest } = options;
  const url = await serve(handler);
  const client = createHubClient({
    url,
    cacheDirectory: cache,
    limits: { retryDelaysMs: [1, 1], ...limits },
    // Nobody waits for a hub that asks for a pause.
    clock: { nowMs: () => performance.now(), sleep: async () => {} },
    ...rest,
  });
  return { client, cache };
}

/** Answers a ranged request from `bytes` as a correct hub would. */
export function sendRange(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array): void {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const end = Math.min(Number(last) + 1, bytes.length);
  response.writeHead(206, { 'content-range': `bytes ${first}-${end - 1}/${bytes.length}` });
  response.end(bytes.subarray(Number(first), end));
}

/** Sends `bytes` and cuts the connection when the client has stored them: `storedBytes` in its temporary file. */
export function sendAndCut(response: ServerResponse, bytes: Uint8Array, cache: string, storedBytes: number): void {
  response.write(bytes);
  const timer = setInterval(() => {
    const temporary = join(cache, 'tmp');
    if (readdirSync(temporary).some((name) => statSync(join(temporary, name)).size === storedBytes)) response.destroy();
  }, 5);
  response.on('close', () => clearInterval(timer));
}
