/**
 * @file The processes of a local net: four services and four scripted miners, each a verb of `quasar`.
 *
 * The miners are the story that a newcomer sees: `honest` distils a student and takes the crown from the base;
 * `better` starts when that is decided, trains on from the king's weights and challenges it; `copycat` publishes the files of
 * `honest` as its own and must end as COPY; `broken` publishes a tensor of the wrong shape and must end as INVALID.
 */
import type { Home, NetSettings } from '../home.ts';
import { HOST } from '../ports.ts';
import type { ChildSpec } from './child.ts';

export const SERVICES = ['chain', 'hub', 'validator', 'server'] as const;
export const MINERS = ['honest', 'broken', 'copycat', 'better'] as const;
export type ServiceName = (typeof SERVICES)[number];
export type MinerName = (typeof MINERS)[number];

/** A validator may set weights this often; below the length of a round, so that each verdict reaches the chain. */
const WEIGHTS_RATE_BLOCKS = 10;

/** Permits, incentive and emission come with the epoch: often enough to watch. */
const TEMPO_BLOCKS = 10;

/** With text of their own, students need more steps to improve on the world as well. */
const STEPS_WITH_TEXT = 120;

export interface Plan {
  urls: { chain: string; hub: string; server: string };
  service(name: ServiceName): ChildSpec;
  /** @param honestHotkey whose files the copycat takes */
  miner(name: MinerName, honestHotkey: string): ChildSpec;
}

export function planNet(home: Home, settings: NetSettings): Plan {
  const { ports, blockTimeMs, commitReveal = 'off', data } = settings;
  const url = (port: number) => `http://${HOST}:${port}`;
  const urls = { chain: `ws://${HOST}:${ports.chain}`, hub: url(ports.hub), server: url(ports.server) };
  const where = ['--home', home.root];
  const net = [...where, '--chain', urls.chain, '--hub', urls.hub];
  const services: Record<ServiceName, string[]> = {
    chain: [
      ...['chain', 'run', ...where, '--port', `${ports.chain}`, '--block-time-ms', `${blockTimeMs}`],
      ...['--weights-rate-blocks', `${WEIGHTS_RATE_BLOCKS}`, '--tempo', `${TEMPO_BLOCKS}`],
      ...['--commit-reveal', commitReveal],
    ],
    hub: ['hub', 'run', ...where, '--port', `${ports.hub}`],
    validator: ['validator', 'run', ...net],
    server: ['serve', ...net, '--port', `${ports.server}`],
  };
  const text = data === null ? [] : [...data.flatMap((one) => ['--data', one]), '--steps', `${STEPS_WITH_TEXT}`];
  const miners = (honestHotkey: string): Record<MinerName, string[]> => ({
    honest: ['miner', 'run', ...net, '--name', 'honest', ...text],
    broken: ['miner', 'broken', ...net, '--name', 'broken'],
    copycat: ['miner', 'copycat', ...net, '--name', 'copycat', '--of', honestHotkey],
    better: ['miner', 'run', ...net, '--name', 'better', '--from', 'king', ...text],
  });
  const spec = (name: string, args: string[], isMiner: boolean): ChildSpec => ({
    name,
    args,
    isOneShot: isMiner,
    isBackground: isMiner,
    logFile: home.logFile(name),
  });
  return {
    urls,
    service: (name) => spec(name, services[name], false),
    miner: (name, honestHotkey) => spec(name, miners(honestHotkey)[name], true),
  };
}
