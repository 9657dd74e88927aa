/** @file `quasar check`: what a validator would say about a model, before anybody else sees it. */
import { existsSync } from 'node:fs';
import { formatIssues, QuasarError } from '@quasar/base';
import type { CheckReport } from '@quasar/subnet';
import { Command } from 'commander';
import { baseOption, teacherOption } from '../assets.ts';
import { contextOf, fromCaller } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { Home } from '../home.ts';
import { type DuelAtHome, duelAtHome, duelText, kingOrBase } from '../miner/duel-at-home.ts';
import { hubOptions, type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { walletName } from '../options.ts';
import { listenForStop } from '../service.ts';

interface CheckFlags extends NetOptions {
  name: string;
  base: string;
  teacher: string;
  copies: boolean;
  duel: boolean;
}

export function check(): Command {
  return withNetOptions(new Command('check'))
    .description(
      'What a validator would say of a model: every check, copies, and the duel against the king of today. Exit code 3 when it would be refused.',
    )
    .argument('<model>', 'folder of a checkpoint, or owner/name@revision on the hub')
    .option('--name <name>', 'wallet whose submission it would be', walletName, 'me')
    .addOption(baseOption())
    .addOption(teacherOption())
    .option('--no-copies', 'do not compare with the submissions on chain')
    .option('--no-duel', 'do not fight the king')
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
        const chain = connectChain(urls.chain);
        const hub = createHubClient(hubOptions(options, home, options.name));
        const base = fromCaller(options.base);
        const report = await checkModel({
          ...{ model, hub, chain, config: LOCAL, baseDirectory: base, copies: options.copies, signal: stopping.signal },
          hotkey: openWallet(home.wallet(options.name)).hotkey,
          onProgress: (message) => context.note(message),
        });
        const { directory, ...shown } = report;
        const { signal } = stopping;
        const duel =
          directory !== null && options.duel
            ? await duelAtHome(context, {
                ...{ directory, teacher: fromCaller(options.teacher), seed: 'check', signal },
                opponent: await kingOrBase(chain, hub, base, signal),
              })
            : null;
        context.result({ ...shown, duel }, () => describe(report, duel));
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

function describe(report: CheckReport, duel: DuelAtHome | null): string {
  const lines = [report.ok ? 'OK: a validator would accept it' : `${report.status}: a validator would refuse it`];
  const hidden = report.issues.length - SHOWN_ISSUES;
  if (report.issues.length > 0) lines.push(formatIssues(report.issues.slice(0, SHOWN_ISSUES)));
  if (hidden > 0) lines.push(`... and ${hidden} more; --json lists them all`);
  lines.push(copiesText(report));
  for (const { path, message } of report.notCompared) lines.push(`  not compared: ${path}: ${message}`);
  if (duel) lines.push(duelText(duel));
  else lines.push(report.ok ? 'duel: left out (--no-duel)' : 'duel: left out, a refused model fights none');
  return lines.join('\n');
}

function copiesText({ copies, comparedWith, notCompared }: CheckReport): string {
  if (copies === 'switched off') return 'copies: not looked for (--no-copies); a validator does';
  if (copies === 'not needed') return 'copies: not looked for, as it would be refused anyway';
  const unread = notCompared.length > 0 ? `, ${notCompared.length} could not be read` : '';
  return `copies: compared with the base model and ${comparedWith} earlier submissions${unread}`;
}
