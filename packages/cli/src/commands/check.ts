/** @file `quasar check`: what a validator would say about a model, before anybody else sees it. */
import { existsSync } from 'node:fs';
import { formatIssues, QuasarError } from '@quasar/base';
import type { CheckReport } from '@quasar/subnet';
import { Command } from 'commander';
import { baseOption } from '../assets.ts';
import { contextOf, fromCaller } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { Home } from '../home.ts';
import { type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { walletName } from '../options.ts';
import { listenForStop } from '../service.ts';

interface CheckFlags extends NetOptions {
  name: string;
  base: string;
  copies: boolean;
}

export function check(): Command {
  return withNetOptions(new Command('check'))
    .description('Check a model as a validator would, copies included. Exit code 3 when it would be refused.')
    .argument('<model>', 'folder of a checkpoint, or owner/name@revision on the hub')
    .option('--name <name>', 'wallet whose submission it would be', walletName, 'me')
    .addOption(baseOption())
    .option('--no-copies', 'do not compare with the submissions on chain')
    .action(async (name: string, options: CheckFlags, command: Command) => {
      const context = contextOf(command);
      const home = new Home(context.home);
      const model = parseModel(name);
      const { connectChain, openWallet } = await import('@quasar/chain');
      const { createHubClient } = await import('@quasar/hub');
      const { checkModel, LOCAL } = await import('@quasar/subnet');
      const urls = netUrls(options, home);
      const stopping = listenForStop();
      try {
        const report = await checkModel({
          model,
          hub: createHubClient({ url: urls.hub, cacheDirectory: home.cacheFolder(options.name) }),
          chain: connectChain(urls.chain),
          config: LOCAL,
          baseDirectory: fromCaller(options.base),
          hotkey: openWallet(home.wallet(options.name)).hotkey,
          copies: options.copies,
          onProgress: (message) => context.note(message),
          signal: stopping.signal,
        });
        context.result(report, () => describe(report));
        if (!report.ok) process.exitCode = EXIT.rejected;
      } finally {
        stopping.dispose();
      }
    });
}

function parseModel(name: string): { directory: string } | { repo: string; revision: string } {
  const directory = fromCaller(name);
  if (existsSync(directory)) return { directory };
  const [, repo, revision] = /^([^/@]+\/[^/@]+)@([0-9a-f]{40})$/.exec(name) ?? [];
  if (repo !== undefined && revision !== undefined) return { repo, revision };
  throw new QuasarError('usage.unknown_model', `"${name}" is no folder and no owner/name@revision`, {
    hint: 'a revision has 40 hex digits',
  });
}

/** A wrong size gives one issue per tensor: nobody reads two hundred lines. */
const SHOWN_ISSUES = 20;

function describe(report: CheckReport): string {
  const compared = `compared with ${report.comparedWith} submissions on chain`;
  if (report.ok) return `OK: a validator would accept it; ${compared}`;
  const hidden = report.issues.length - SHOWN_ISSUES;
  const more = hidden > 0 ? `\n... and ${hidden} more; --json lists them all` : '';
  const issues = formatIssues(report.issues.slice(0, SHOWN_ISSUES));
  return `${report.status}: a validator would refuse it; ${compared}\n${issues}${more}`;
}
