/** @file The ports and other settings of a net: what was asked for, else what the home remembers, else free defaults. */
import type { Home, NetSettings } from '../home.ts';
import { DEFAULT_PORTS, isPortFree, nextFreePort, requireFreePort } from '../ports.ts';

export interface AskedSettings {
  port?: number;
  hubPort?: number;
  chainPort?: number;
  blockTimeMs?: number;
  /** Absolute path. */
  data?: string;
}

/** Half a second: a round of forty blocks lasts twenty seconds. */
const DEFAULT_BLOCK_TIME_MS = 500;

const FLAGS = { server: '--port', hub: '--hub-port', chain: '--chain-port' } as const;
type Service = keyof typeof FLAGS;

function askedPort(asked: AskedSettings, service: Service): number | undefined {
  return { server: asked.port, hub: asked.hubPort, chain: asked.chainPort }[service];
}

/** @throws usage.port_busy for a port that was asked for and is in use */
export async function requireAskedPorts(asked: AskedSettings): Promise<void> {
  for (const service of ['server', 'hub', 'chain'] as const) {
    const port = askedPort(asked, service);
    if (port !== undefined) await requireFreePort(port, FLAGS[service]);
  }
}

/** Settles every setting and writes them to the home. `note` hears of a remembered port that is taken now. */
export async function settle(home: Home, asked: AskedSettings, note: (line: string) => void): Promise<NetSettings> {
  const remembered = home.readNet();
  const ports: NetSettings['ports'] = { server: 0, hub: 0, chain: 0 };
  const taken = new Set<number>();
  for (const service of ['server', 'hub', 'chain'] as const) {
    const wanted = askedPort(asked, service) ?? remembered?.ports[service] ?? DEFAULT_PORTS[service];
    const port = !taken.has(wanted) && (await isPortFree(wanted)) ? wanted : await nextFreePort(wanted + 1, taken);
    if (port !== wanted) note(`port ${wanted} is in use: the ${service} takes ${port}`);
    ports[service] = port;
    taken.add(port);
  }
  const settings = {
    ports,
    blockTimeMs: asked.blockTimeMs ?? remembered?.blockTimeMs ?? DEFAULT_BLOCK_TIME_MS,
    data: asked.data ?? remembered?.data ?? null,
  };
  home.writeNet(settings);
  return { version: 1, ...settings };
}
