/** @file A hub that lies about some repositories, over a real socket: a proxy of the local hub with the corpus's answers. */
import { createServer, request as forward, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Attack, Entry } from '../../packages/subnet/src/testing/hostile/attack.ts';

/**
 * @param attackOf what is said of a repository, by its owner
 * @returns the server and its address
 */
export async function serveFront(
  hubUrl: string,
  attackOf: (owner: string) => Attack | undefined,
): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => void answer(hubUrl, attackOf, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function answer(
  hubUrl: string,
  attackOf: (owner: string) => Attack | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const address = request.url ?? '';
  const [, listed] = /^\/api\/models\/([^/]+)\/[^/]+\/tree\//.exec(address) ?? [];
  const [, owner, path] = /^\/([^/]+)\/[^/]+\/resolve\/[^/]+\/([^?]+)/.exec(address) ?? [];
  const attack = attackOf(listed ?? owner ?? '');
  if (attack?.answer?.(path ?? null, request, response)) return;
  if (attack?.listing && listed !== undefined) {
    const entries = (await (await fetch(`${hubUrl}${address}`)).json()) as Entry[];
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(attack.listing(entries)));
    return;
  }
  const { host: _, ...headers } = request.headers;
  const upstream = forward(`${hubUrl}${address}`, { headers, method: request.method }, (reply) => {
    response.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(response);
  });
  upstream.on('error', () => response.destroy());
  request.pipe(upstream);
}
