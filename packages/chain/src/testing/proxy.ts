/** @file A real WebSocket proxy in front of a served chain that loses what a test tells it to lose. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

/** Listens on a free port until the test ends. */
export async function listen(server: Server): Promise<{ port: number }> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port };
}

/** Forwards to `target`; cuts the connection before, or right after, the target handled a set number of extrinsics. */
export async function droppingProxy(target: string) {
  let answers = 0;
  let requests = 0;
  let dropped = 0;
  const server = createServer();
  const clients = new WebSocketServer({ server });
  clients.on('connection', (client) => {
    const upstream = new WebSocket(target);
    const early: string[] = [];
    const submitted = new Set<unknown>();
    const send = (text: string) => (upstream.readyState === upstream.OPEN ? upstream.send(text) : early.push(text));
    upstream.on('open', () => {
      for (const text of early) upstream.send(text);
    });
    client.on('message', (data) => {
      const { id, method } = JSON.parse(data.toString());
      if (method === 'submit') {
        if (requests > 0) {
          requests--;
          client.terminate();
          return;
        }
        submitted.add(id);
      }
      send(data.toString());
    });
    upstream.on('message', (data) => {
      if (answers > 0 && submitted.has(JSON.parse(data.toString()).id)) {
        answers--;
        dropped++;
        client.terminate();
        return;
      }
      client.send(data.toString());
    });
    const end = () => {
      client.terminate();
      upstream.terminate();
    };
    for (const socket of [client, upstream]) socket.on('close', end).on('error', end);
  });
  const { port } = await listen(server);
  return {
    url: `ws://127.0.0.1:${port}`,
    dropAnswers(count: number) {
      answers = count;
    },
    dropRequests(count: number) {
      requests = count;
    },
    dropped: () => dropped,
    /** Cuts every connection now. */
    cut() {
      for (const client of clients.clients) client.terminate();
    },
  };
}
