/**
 * @file The dev chain over WebSocket, for several processes (messages in json-rpc.ts).
 *
 * Reads are public; a write is a signed extrinsic and answers when its block is durable. Pages of other sites cannot
 * connect. Left out: authentication of readers and TLS. It is a development chain: bind it to loopback, the default.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { QuasarError } from '@quasar/base';
import { WebSocketServer } from 'ws';
import { Connection, type ConnectionLimits } from './connection.ts';
import type { DevChain } from './dev-chain.ts';

export interface ServeLimits extends ConnectionLimits {
  maxMessageBytes: number;
  maxConnections: number;
}

const LIMITS: ServeLimits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxConnections: 128,
  maxWaiting: 256,
  maxUnreadBytes: 64 * 1024 * 1024,
  heartbeatMs: 15_000,
};

export interface ServeOptions {
  /** 0: any free one. */
  port: number;
  host?: string | undefined;
  limits?: Partial<ServeLimits> | undefined;
}

export interface ChainServer {
  /** `ws://host:port` with the real port when 0 was asked for. */
  url: string;
  /** Stops listening and cuts open connections; the chain itself stays open. Idempotent. */
  close(): Promise<void>;
}

/** Serves until closed. Throws `chain.port_in_use`, or `chain.listen_failed` for any other reason. */
export async function serveChain(chain: DevChain, options: ServeOptions): Promise<ChainServer> {
  const host = options.host ?? '127.0.0.1';
  const limits = { ...LIMITS, ...options.limits };
  const server = createServer((_, response) => response.writeHead(426).end('This is a chain: connect by WebSocket.\n'));
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.maxMessageBytes,
    perMessageDeflate: false,
    clientTracking: true,
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const refusal = sockets.clients.size >= limits.maxConnections ? 503 : isOwnOrigin(request) ? null : 403;
    if (refusal !== null) return socket.end(`HTTP/1.1 ${refusal} Refused\r\nConnection: close\r\n\r\n`);
    sockets.handleUpgrade(request, socket, head, (client) => new Connection(chain, client, limits));
  });
  const port = await listen(server, options.port, host);
  let closing: Promise<void> | null = null;
  return {
    url: `ws://${host.includes(':') ? `[${host}]` : host}:${port}`,
    close() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        for (const client of sockets.clients) client.terminate();
        server.closeAllConnections();
      });
      return closing;
    },
  };
}

/** Programs send no origin; a page sends the site it came from. */
function isOwnOrigin({ headers }: IncomingMessage): boolean {
  const { origin } = headers;
  if (origin === undefined) return true;
  return URL.canParse(origin) && ['localhost', '127.0.0.1', '[::1]'].includes(new URL(origin).hostname);
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port, host)));
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

function listenError(cause: NodeJS.ErrnoException, port: number, host: string): QuasarError {
  if (cause.code === 'EADDRINUSE') {
    return new QuasarError('chain.port_in_use', `port ${port} on ${host} is already in use`, {
      hint: 'stop the program that holds it (another chain?), choose another port, or use port 0 for any free one',
      data: { host, port },
      cause,
    });
  }
  const message = `cannot listen on ${host}:${port}: ${cause.code ?? cause.message}`;
  return new QuasarError('chain.listen_failed', message, { hint: 'check the host and the port number', cause });
}
