/** @file The ports of a local net: fixed defaults, the next free one when a default is taken. */
import { createServer } from 'node:net';
import { QuasarError } from '@quasar/base';

export const HOST = '127.0.0.1';
export const DEFAULT_PORTS = { server: 2424, hub: 2425, chain: 2426 } as const;

/** How far past a default to look before giving up. */
const SEARCH_PORTS = 200;

export function isPortFree(port: number, host = HOST): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}

/** The first free port from `start` on that is not in `taken`. @throws usage.port_busy when none is free nearby. */
export async function nextFreePort(start: number, taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (let port = start; port < start + SEARCH_PORTS && port <= 65_535; port++) {
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  throw new QuasarError('usage.port_busy', `no free port from ${start} to ${start + SEARCH_PORTS - 1}`, {
    hint: 'stop what listens there, or choose a port yourself',
  });
}

/** Refuses a port that something already listens on. @throws usage.port_busy naming the flag. */
export async function requireFreePort(port: number, flag: string): Promise<void> {
  if (await isPortFree(port)) return;
  throw new QuasarError('usage.port_busy', `${flag} ${port}: the port is in use`, {
    hint: 'choose another one, or leave the flag out and a free one is found',
  });
}
