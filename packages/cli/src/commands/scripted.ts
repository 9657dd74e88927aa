/** @file `quasar miner copycat` and `quasar miner broken`: the scripted wrongdoers of `quasar up`; not in the help. */
import { Command } from 'commander';
import { contextOf } from '../context.ts';
import { Home } from '../home.ts';
import { hubOptions, type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { walletName } from '../options.ts';
import type { Contestant, Submitted } from '../scripted/submit.ts';
import { listenForStop } from '../service.ts';

interface ScriptedFlags extends NetOptions {
  name: string;
}

export function copycat(): Command {
  return withNetOptions(new Command('copycat'))
    .description('Submit the files of another hotkey as your own.')
    .requiredOption('--name <name>', 'name of the wallet and of the repository', walletName)
    .requiredOption('--of <hotkey>', 'whose files')
    .action(async (options: ScriptedFlags & { of: string }, command: Command) => {
      const { submitCopy } = await import('../scripted/copycat.ts');
      await enter(options, command, (contestant, signal) => submitCopy(contestant, options.of, signal));
    });
}

export function broken(): Command {
  return withNetOptions(new Command('broken'))
    .description('Submit the base student with a tensor of the wrong shape.')
    .requiredOption('--name <name>', 'name of the wallet and of the repository', walletName)
    .action(async (options: ScriptedFlags, command: Command) => {
      const { submitBroken } = await import('../scripted/broken.ts');
      const { BASE } = await import('../assets.ts');
      await enter(options, command, (contestant) => submitBroken(contestant, BASE));
    });
}

async function enter(
  options: ScriptedFlags,
  command: Command,
  work: (contestant: Contestant, signal: AbortSignal) => Promise<Submitted>,
): Promise<void> {
  const context = contextOf(command);
  const home = new Home(context.home);
  const { connectChain, openWallet } = await import('@quasar/chain');
  const { createHubClient } = await import('@quasar/hub');
  const { earlierSubmission } = await import('../scripted/submit.ts');
  const urls = netUrls(options, home);
  const contestant: Contestant = {
    chain: connectChain(urls.chain),
    hub: createHubClient(hubOptions(options, home, options.name)),
    wallet: openWallet(home.wallet(options.name)),
    repo: `${options.name}/quasar-nano`,
  };
  const stopping = listenForStop();
  try {
    const submitted = (await earlierSubmission(contestant)) ?? (await work(contestant, stopping.signal));
    context.result(submitted, `submitted ${submitted.repo}@${submitted.revision}`);
  } finally {
    stopping.dispose();
  }
}
