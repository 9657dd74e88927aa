/** @file Which chain and hub a verb talks to: the flags, else the net of the home, else the default ports. */
import { type Command, Option } from 'commander';
import type { Home } from './home.ts';
import { wholeNumber } from './options.ts';
import { DEFAULT_PORTS, HOST } from './ports.ts';

/** The subnet of the contest. */
export const NETUID = 24;

/** `dev` is the local net; the others are names that `connectChain` knows. */
const NETWORKS = ['dev', 'finney', 'test', 'local'] as const;

export interface ChainOptions {
  network?: (typeof NETWORKS)[number];
  chain?: string;
}

export interface HubFlags {
  hub?: string;
  cacheGb?: number;
}

export interface NetOptions extends ChainOptions, HubFlags {}

export function withChainOptions(command: Command): Command {
  return command
    .addOption(new Option('--network <name>', 'network (default: dev, the local net)').choices(NETWORKS))
    .option('--chain <url>', 'address of a chain, in place of a network');
}

export function withNetOptions(command: Command): Command {
  return withHubOptions(withChainOptions(command));
}

export function withHubOptions(command: Command): Command {
  return command
    .option('--hub <url>', 'URL of the hub (default: the net of the home)')
    .option(
      '--cache-gb <number>',
      'most of the hub that is kept in the cache of this name (default: 20, or 12 of the largest submissions)',
      wholeNumber(1, 1_000_000),
    );
}

/** Where to download from, where to, and how much of it is kept. @param submissionBytes of the largest one */
export function hubOptions(
  options: HubFlags,
  home: Home,
  name: string,
  submissionBytes = 0,
): { url: string; cacheDirectory: string; quotaBytes: number } {
  const quotaBytes = options.cacheGb === undefined ? defaultCacheBytes(submissionBytes) : options.cacheGb * 1e9;
  return { url: netUrls(options, home).hub, cacheDirectory: home.cacheFolder(name), quotaBytes };
}

/** Hundreds of models of a laptop. */
export const DEFAULT_CACHE_BYTES = 20e9;

/** A round with its king and five challengers, twice. */
function defaultCacheBytes(submissionBytes: number): number {
  return Math.max(DEFAULT_CACHE_BYTES, 12 * submissionBytes);
}

export function withNetuid(command: Command): Command {
  return command.option('--netuid <number>', 'subnet', wholeNumber(0, 65_535), NETUID);
}

export function netUrls(options: NetOptions, home: Home): { chain: string; hub: string } {
  const ports = home.readNet()?.ports ?? DEFAULT_PORTS;
  const isNamed = options.network !== undefined && options.network !== 'dev';
  return {
    chain: options.chain ?? (isNamed ? String(options.network) : `ws://${HOST}:${ports.chain}`),
    hub: options.hub ?? `http://${HOST}:${ports.hub}`,
  };
}

/** Whether the verb talks to the local net of the home: nothing else was asked for. */
export function isLocalNet({ network, chain }: ChainOptions): boolean {
  return chain === undefined && (network === undefined || network === 'dev');
}
