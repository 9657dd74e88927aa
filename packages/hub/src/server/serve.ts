/** @file Starting and stopping the local hub. */
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { QuasarError } from '@quasar/base';
import { createApp } from './app.ts';
import { Blobs } from './blobs.ts';
import { Repositories } from './repositories.ts';

export interface LocalHub {
  /** `http://127.0.0.1:<port>`, for `hubUrl` of any Hugging Face client. */
  url: string;
  /** Stops at once: open transfers are cut, and what they left is removed at the next start. */
  close(): Promise<void>;
}

export interface LocalHubOptions {
  /** Where repositories and contents live; made when absent. One hub process per directory. */
  directory: string;
  /** 0 takes any free port. */
  port: number;
  /** Default 127.0.0.1. There are no users: do not open it to a network that you do not trust. */
  host?: string | undefined;
}

/**
 * Serves the Hugging Face HTTP subset of `app.ts` from a directory.
 * @throws QuasarError `hub.port_in_use`
 */
export async function serveHub(options: LocalHubOptions): Promise<LocalHub> {
  const { directory, port, host = '127.0.0.1' } = options;
  const blobs = new Blobs(directory);
  const server = createAdaptorServer({
    fetch: createApp(new Repositories(directory, 'repos'), new Repositories(directory, 'datasets'), blobs).fetch,
  }) as import('node:http').Server;
  server.requestTimeout = 0; // the default cuts an upload after five minutes
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      const message = `hub: port ${port} on ${host} is taken by another program`;
      reject(
        new QuasarError('hub.port_in_use', message, { hint: 'stop that program or choose another port', cause: error }),
      );
    });
    server.listen(port, host, resolve);
  });
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${reachable}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
