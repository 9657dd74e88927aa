/** @file A verb that talks to a chain: opens it, and closes it whatever happens. */
import { join } from 'node:path';
import type { Chain } from '@quasar/chain';
import type { Command } from 'commander';
import { type Context, contextOf } from './context.ts';
import { Home } from './home.ts';
import { type ChainOptions, netUrls } from './net-options.ts';

export interface ChainContext {
  chain: Chain;
  /** What was connected to: a network's name or a URL. */
  address: string;
  context: Context;
  home: Home;
}

/** Somebody waits at a terminal. */
const PATIENCE_MS = 15_000;

export async function withChain(
  options: ChainOptions,
  command: Command,
  verb: (open: ChainContext) => Promise<void>,
): Promise<void> {
  const context = contextOf(command);
  const home = new Home(context.home);
  const { connectChain } = await import('@quasar/chain');
  const address = netUrls(options, home).chain;
  const chain = connectChain(address, { patienceMs: PATIENCE_MS, stateDirectory: join(context.home, 'salts') });
  try {
    await verb({ chain, address, context, home });
  } finally {
    await chain.close();
  }
}
