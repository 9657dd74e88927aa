/** @file The ports and other settings of a net: what was asked for, else what the home remembers, else free defaults. */
import { QuasarError } from '@quasar/base';
import type { CommitReveal, Home, NetSettings } from '../home.ts';
import { DEFAULT_PORTS, isPortFree, nextFreePort, requireFreePort } from '../ports.ts';

export interface AskedSettings {
  port?: number;
  hubPort?: number;
  chainPort?: number;
  blockTimeMs?: number;
  commitReveal?: CommitReveal;
  /** As `--data` takes it, paths absolute. */
  data?: string[] | undefined;
}

/** Half a second: a round of forty blocks lasts twenty seconds. */
const DEFAULT_BLOCK_TIME_MS = 500;

const FLAGS = { server: '--port', hub: '--hub-port', chain: '--chain-port' } as const;
type Service = keyof typeof FLAGS;
const SERVICES_WITH_PORTS: Service[] = ['server', 'hub', 'chain'];

function askedPort(asked: AskedSettings, service: Service): number | undefined {
  return { server: asked.port, hub: asked.hubPort, chain: asked.chainPort }[service];
}

/** @throws usage.port_busy for a port that was asked for and is in use, or asked for twice */
export async function requireAskedPorts(asked: AskedSettings): Promise<void> {
  const seen = new Map<number, string>();
  for (const service of SERVICES_WITH_PORTS) {
    const port = askedPort(asked, service);
    if (port === undefined) continue;
    const flag = FLAGS[service];
    const other = seen.get(port);
    if (other !== undefined) {
      throw new QuasarError('usage.port_busy', `${flag} ${port}: the same port as ${other}`, {
        hint: 'choose another one, or leave the flag out and a free one is found',
      });
    }
    seen.set(port, flag);
    await requireFreePort(port, flag);
  }
}

/** Settles every setting and writes them to the home. `note` hears of a remembered port that is taken now. */
export async function settle(home: Home, asked: AskedSettings, note: (line: string) => void): Promise<NetSettings> {
  const remembered = home.readNet();
  const wanted = (service: Service) =>
    askedPort(asked, service) ?? remembered?.ports[service] ?? DEFAULT_PORTS[service];
  const ports: NetSettings['ports'] = { server: wanted('server'), hub: wanted('hub'), chain: wanted('chain') };
  for (const service of SERVICES_WITH_PORTS) {
    const port = ports[service];
    if (await isPortFree(port)) continue;
    // Not one of the others': a service that moves must not push the next one aside.
    ports[service] = await nextFreePort(port + 1, new Set(Object.values(ports)));
    note(`port ${port} is in use: the ${service} takes ${ports[service]}`);
  }
  const settings = {
    ports,
    blockTimeMs: asked.blockTimeMs ?? remembered?.blockTimeMs ?? DEFAULT_BLOCK_TIME_MS,
    // At once by default: a crown is seen on the chain in the same minute.
    commitReveal: asked.commitReveal ?? remembered?.commitReveal ?? ('off' as const),
    data: asked.data ?? remembered?.data ?? null,
  };
  home.writeNet(settings);
  return { version: 1, ...settings };
}
