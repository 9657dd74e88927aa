/** @file Which chain and hub a verb talks to: the flags, else the net of the home, else the default ports. */
import type { Command } from 'commander';
import type { Home } from './home.ts';
import { DEFAULT_PORTS, HOST } from './ports.ts';

export interface NetOptions {
  chain?: string;
  hub?: string;
}

export function withNetOptions(command: Command): Command {
  return command
    .option('--chain <url>', 'URL of the chain (default: the net of the home)')
    .option('--hub <url>', 'URL of the hub (default: the net of the home)');
}

export function netUrls(options: NetOptions, home: Home): { chain: string; hub: string } {
  const ports = home.readNet()?.ports ?? DEFAULT_PORTS;
  return {
    chain: options.chain ?? `ws://${HOST}:${ports.chain}`,
    hub: options.hub ?? `http://${HOST}:${ports.hub}`,
  };
}

/** The subnet of the contest. */
export const NETUID = 24;
