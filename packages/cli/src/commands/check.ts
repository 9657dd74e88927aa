/** @file `quasar check`: what a validator would say about a model, before anybody else sees it. */
import { existsSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import type { HubClient } from '@quasar/hub';
import { Command } from 'commander';
import { baseOption, teacherOption } from '../assets.ts';
import { contextOf, fromCaller } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { Home } from '../home.ts';
import { type CheckedModel, type CheckResult, checkText } from '../miner/check-text.ts';
import { duelAtHome, kingOrBase } from '../miner/duel-at-home.ts';
import { hubOptions, type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { walletName } from '../options.ts';
import { readRules, rulesOption, submissionBytes } from '../rules-option.ts';
import { listenForStop } from '../service.ts';

interface CheckFlags extends NetOptions {
  name: string;
  base: string;
  teacher: string;
  copies: boolean;
  duel: boolean;
  rules: string;
}

export function check(): Command {
  return withNetOptions(new Command('check'))
    .description(
      'What a validator would say of a model: every check, copies, and the duel against the king of today. Exit code 3 when it would be refused.',
    )
    .argument('<model>', 'folder of a checkpoint; or owner/name, owner/name@branch, owner/name@revision on the hub')
    .option('--name <name>', 'wallet whose submission it would be', walletName, 'me')
    .addOption(baseOption())
    .addOption(teacherOption())
    .addOption(rulesOption())
    .option('--no-copies', 'do not compare with the submissions on chain')
    .option('--no-duel', 'do not fight the king')
    .action(async (name: string, options: CheckFlags, command: Command) => {
      const context = contextOf(command);
      const home = new Home(context.home);
      const { connectChain, openWallet } = await import('@quasar/chain');
      const { createHubClient } = await import('@quasar/hub');
      const { checkModel } = await import('@quasar/subnet');
      const stopping = listenForStop();
      const { signal } = stopping;
      try {
        const chain = connectChain(netUrls(options, home).chain);
        const config = await readRules(options.rules);
        const hub = createHubClient(hubOptions(options, home, options.name, submissionBytes(config)));
        const base = fromCaller(options.base);
        const model = await findModel(name, hub, signal);
        const report = await checkModel({
          ...{ hub, chain, config, baseDirectory: base, copies: options.copies, signal },
          model: model.revision ?? { directory: model.name },
          hotkey: openWallet(home.wallet(options.name)).hotkey,
          onProgress: (message) => context.note(message),
        });
        if (report.status === 'REMOVED') await addNewest(report.issues, model, hub, signal);
        const { directory, ...shown } = report;
        const duel =
          directory !== null && options.duel
            ? await duelAtHome(context, {
                ...{ directory, config, teacher: fromCaller(options.teacher), seed: 'check', signal },
                opponent: await kingOrBase(chain, hub, config, base, signal),
              })
            : null;
        const standing = await standingOf(home, model);
        const result: CheckResult = { model, report, duel, standing };
        context.result({ ...shown, model, duel, standing }, () => checkText(result));
        if (!report.ok) process.exitCode = EXIT.rejected;
      } finally {
        stopping.dispose();
      }
    });
}

/** @throws usage.unknown_model */
async function findModel(name: string, hub: HubClient, signal: AbortSignal): Promise<CheckedModel> {
  const directory = fromCaller(name);
  if (existsSync(directory)) return { name: directory, revision: null };
  const { isPinnedRevision, isRepoName } = await import('@quasar/hub');
  const [, repo = '', branch = 'main'] = /^([^@]+)(?:@(.+))?$/.exec(name) ?? [];
  if (!isRepoName(repo))
    throw new QuasarError('usage.unknown_model', `"${name}" is no folder, and no repository of a hub`, {
      hint: 'give the folder of a checkpoint, or owner/name, owner/name@branch or owner/name@<40 hex digits>',
    });
  const revision = isPinnedRevision(branch) ? branch : await hub.resolveRevision(repo, branch, { signal });
  if (revision === null)
    throw new QuasarError(
      'usage.unknown_model',
      `"${name}" is no folder, and the hub has no ${repo}, or no "${branch}" in it, for everybody to read`,
      { hint: 'check the spelling; a private or gated repository is REMOVED for a validator, so make it public' },
    );
  return { name: `${repo}@${revision}`, revision: { repo, revision } };
}

/** What the owner of a revision that is not there may have meant. */
async function addNewest(
  issues: { code: string; hint?: string }[],
  { revision }: CheckedModel,
  hub: HubClient,
  signal: AbortSignal,
): Promise<void> {
  const missing = issues.find(({ code }) => code === 'precheck.revision_missing');
  if (!missing || !revision) return;
  const newest = await hub.resolveRevision(revision.repo, 'main', { signal });
  missing.hint =
    newest === null
      ? `There is no ${revision.repo} for everybody to read: check the spelling, or make it public.`
      : `The repository is there, this revision is not; the newest of main is ${newest}.`;
}

/** What the validator of this home made of a revision, if one is there and has seen it. */
async function standingOf(home: Home, { revision }: CheckedModel): Promise<CheckResult['standing']> {
  if (revision === null || !existsSync(home.contestFile)) return null;
  const { openStore } = await import('@quasar/store');
  const { rebuildContest } = await import('@quasar/subnet');
  const store = openStore({ path: home.contestFile });
  try {
    const { submissions } = rebuildContest(store.events());
    const found = [...submissions.values()].findLast(
      (one) => one.repo === revision.repo && one.revision === revision.revision,
    );
    return found ? { status: found.status, issues: found.issues } : null;
  } finally {
    store.close();
  }
}
