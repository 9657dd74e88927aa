/** @file `quasar miner submit FOLDER`: enter the contest with a checkpoint that is there already. */
import { formatIssues } from '@quasar/base';
import type { SubmitReport } from '@quasar/subnet';
import { Command } from 'commander';
import { baseOption, checkpointFolder } from '../assets.ts';
import { contextOf, fromCaller } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { Home } from '../home.ts';
import { hubOptions, isLocalNet, type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { readRules, rulesOption, submissionBytes } from '../rules-option.ts';
import { listenForStop } from '../service.ts';
import { keysOf, type WalletOptions, withWalletOptions } from '../wallet-options.ts';

interface SubmitFlags extends NetOptions, WalletOptions {
  repo?: string;
  rules: string;
  base: string;
  tokenEnv: string;
  copies: boolean;
  replace?: true;
  dryRun?: true;
}

export function submit(): Command {
  return withWalletOptions(withNetOptions(new Command('submit')))
    .description(
      'Enter the contest with a checkpoint: check it, publish it, read it back, commit its revision on chain. What is done already is not done again. Exit code 3 when a validator would refuse it.',
    )
    .argument('<folder>', 'of a checkpoint')
    .option('--repo <owner/name>', 'repository on the hub (default: <name of the wallet>/quasar-nano)')
    .option('--token-env <variable>', 'environment variable that holds the token of the hub', 'HF_TOKEN')
    .addOption(rulesOption())
    .addOption(baseOption())
    .option('--no-copies', 'do not compare with the submissions on chain')
    .option('--replace', 'commit although this hotkey has another submission; the newest counts')
    .option('--dry-run', 'show every step, publish and commit nothing')
    .action(enter);
}

async function enter(folder: string, options: SubmitFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const home = new Home(context.home);
  const directory = checkpointFolder(folder);
  const { connectChain } = await import('@quasar/chain');
  const { createHubClient } = await import('@quasar/hub');
  const { submitModel } = await import('@quasar/subnet');
  const config = await readRules(options.rules);
  const chain = connectChain(netUrls(options, home).chain);
  const keys = await keysOf(chain, options, context, home);
  const stopping = listenForStop();
  try {
    const { signal } = stopping;
    const wallet = await keys.openHotkey();
    // On the local net registration costs nothing.
    if (isLocalNet(options) && !options.dryRun) await chain.register(wallet, config.netuid);
    const hub = createHubClient({
      ...hubOptions(options, home, options.name, submissionBytes(config)),
      token: process.env[options.tokenEnv],
    });
    const report = await submitModel({
      ...{
        chain,
        hub,
        wallet,
        config,
        signal,
        copies: options.copies,
        dryRun: options.dryRun,
        replace: options.replace,
      },
      directory,
      baseDirectory: fromCaller(options.base),
      repo: options.repo ?? `${options.name}/quasar-nano`,
      onStep: ({ name, state, detail }) => context.note(`${name} ${state}: ${detail}`),
    });
    context.result(report, () => describe(report, options.dryRun === true));
    if (!report.ok) process.exitCode = EXIT.rejected;
  } finally {
    await keys.close();
    stopping.dispose();
  }
}

function describe(
  { ok, issues, repo, revision, firstRound, revealedAtBlock }: SubmitReport,
  isDryRun: boolean,
): string {
  if (!ok) return `not submitted, nothing is on chain\n${formatIssues(issues)}`;
  if (isDryRun) return 'nothing was sent; without --dry-run it would be submitted';
  return [
    `submitted ${repo}@${revision}`,
    `on chain, revealed at block ${revealedAtBlock}; the first round that can take it is ${firstRound}`,
    'next: `quasar check` with this revision says how it stands; the dashboard shows its duel',
  ].join('\n');
}
