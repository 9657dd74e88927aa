/** @file A real HTTP proxy that loses what a test tells it to lose. */
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** Listens on a free port until the test ends. */
export async function listen(server: Server): Promise<{ url: string }> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Forwards to `target`; loses a set number of extrinsics before, or their answers after, the target handled them. */
export async function droppingProxy(target: string) {
  let answers = 0;
  let requests = 0;
  let dropped = 0;
  const { url } = await listen(
    createServer((incoming, outgoing) => {
      const isWrite = incoming.url === '/extrinsics';
      if (isWrite && requests > 0) {
        requests--;
        outgoing.destroy();
        return;
      }
      const { method, headers } = incoming;
      const forward = request(`${target}${incoming.url}`, { method, headers }, (reply) => {
        const chunks: Buffer[] = [];
        reply.on('data', (chunk: Buffer) => chunks.push(chunk));
        reply.on('end', () => {
          if (isWrite && answers > 0) {
            answers--;
            dropped++;
            outgoing.destroy();
            return;
          }
          outgoing.writeHead(reply.statusCode ?? 500, reply.headers).end(Buffer.concat(chunks));
        });
      });
      forward.on('error', () => outgoing.destroy());
      incoming.pipe(forward);
    }),
  );
  return {
    url,
    dropAnswers(count: number) {
      answers = count;
    },
    dropRequests(count: number) {
      requests = count;
    },
    dropped: () => dropped,
  };
}
