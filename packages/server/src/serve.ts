/** @file An application on a port. */
import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { QuasarError } from '@quasar/base';
import type { App } from './app.ts';

export interface ServeOptions {
  /** 0 picks a free one. */
  port: number;
  /** Default `127.0.0.1`: reachable from this machine only. */
  host?: string | undefined;
}

export interface Served {
  url: string;
  /** Ends streams and running answers, then the sockets, then the app. */
  close(): Promise<void>;
}

/** @throws QuasarError `server.port_in_use`, `server.listen_failed` */
export async function serve(app: App, options: ServeOptions): Promise<Served> {
  const { port, host = '127.0.0.1' } = options;
  const server = createServer(getRequestListener(app.hono.fetch));
  // Slow senders: a request has to arrive whole within this time. Answers may take as long as they need.
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  await listen(server, port, host);
  const address = server.address();
  const boundPort = typeof address === 'object' && address ? address.port : port;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${boundPort}`;
  app.log.info({ url }, 'listening');
  return {
    url,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await app.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port, host)));
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function listenError(error: NodeJS.ErrnoException, port: number, host: string): QuasarError {
  if (error.code === 'EADDRINUSE')
    return new QuasarError('server.port_in_use', `Port ${port} on ${host} is already in use.`, {
      hint: `Stop the program that uses it (for example an earlier quasar), or choose another port, such as ${port + 1}.`,
      cause: error,
    });
  return new QuasarError('server.listen_failed', `Cannot listen on ${host}:${port}: ${error.message}`, {
    hint: 'Ports below 1024 need privileges, and the host must be an address of this machine.',
    cause: error,
  });
}
