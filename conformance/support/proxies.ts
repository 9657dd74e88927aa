/** @file Between the adapter and a real node: a wire that breaks, and one that garbles what the node says. */

import type { AddressInfo } from 'node:net';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

export interface BreakingProxy {
  url: string;
  /** Connections that were cut while both ends were up. */
  cuts(): number;
  close(): void;
}

/**
 * Forwards bytes to the node at `target` (`ws://host:port`), and cuts every connection, in the middle of whatever is under
 * way, each time `chunksUntilCut()` pieces have gone through in either direction.
 */
export async function breakingProxy(target: string, chunksUntilCut: () => number): Promise<BreakingProxy> {
  const { hostname, port } = new URL(target);
  const open = new Set<[Socket, Socket]>();
  let cuts = 0;
  const server = createServer((near) => {
    const far = connectTcp(Number(port), hostname);
    const pair: [Socket, Socket] = [near, far];
    open.add(pair);
    const end = () => {
      open.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    const forward = (from: Socket, to: Socket) =>
      from.on('data', (chunk) => {
        if (--left > 0) {
          to.write(chunk);
          return;
        }
        // Half of what was under way arrives.
        to.write(chunk.subarray(0, chunk.length / 2), () => cut());
        left = chunksUntilCut();
      });
    forward(near, far);
    forward(far, near);
  });
  let left = chunksUntilCut();
  const url = await listening(server);
  const cut = () => {
    for (const [near, far] of open) {
      if (near.readyState === 'open' && far.readyState === 'open') cuts++;
      near.destroy();
      far.destroy();
    }
  };
  return {
    url,
    cuts: () => cuts,
    close() {
      cut();
      server.close();
    },
  };
}

export interface Question {
  id: number;
  method: string;
  params: unknown[];
}

/** Asks the node itself; its whole answer. */
export type Ask = (method: string, params: unknown[]) => Promise<string>;

export interface InterceptingProxy {
  url: string;
  close(): void;
}

/**
 * Speaks JSON-RPC on both sides, notifications included.
 * @param intercept the message to answer with; null: ask the node
 */
export async function interceptingProxy(
  target: string,
  intercept: (question: Question, ask: Ask) => Promise<string | null>,
): Promise<InterceptingProxy> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await new Promise((resolve) => server.once('listening', resolve));
  const upstream = await upstreamOf(target);
  server.on('connection', (near) => {
    const far = new WebSocket(target);
    const opened = new Promise((resolve) => far.once('open', resolve));
    for (const socket of [near, far]) socket.on('error', () => {});
    near.on('close', () => far.terminate());
    far.on('close', () => near.terminate());
    far.on('message', (data) => near.send(String(data)));
    near.on('message', async (data) => {
      const answer = await intercept(JSON.parse(String(data)) as Question, upstream.ask);
      if (answer !== null) return near.send(answer);
      await opened;
      far.send(String(data));
    });
  });
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      for (const client of server.clients) client.terminate();
      server.close();
      upstream.close();
    },
  };
}

/** The node's answer to another question, as if it were that to this one. */
export function answerTo({ id }: Question, answer: string): string {
  return JSON.stringify({ ...JSON.parse(answer), id });
}

async function upstreamOf(target: string): Promise<{ ask: Ask; close(): void }> {
  const socket = new WebSocket(target);
  await new Promise((resolve) => socket.once('open', resolve));
  const waiting = new Map<number, (message: string) => void>();
  let next = 1;
  socket.on('message', (data) => {
    const message = String(data);
    const { id } = JSON.parse(message) as { id?: number };
    waiting.get(id ?? 0)?.(message);
    waiting.delete(id ?? 0);
  });
  return {
    ask(method, params) {
      const id = next++;
      return new Promise((resolve) => {
        waiting.set(id, resolve);
        socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
      });
    },
    close: () => socket.close(),
  };
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
