/** @file `quasar validator run`: check and compare what miners submit, crown a king, set weights. */
import { QuasarError } from '@quasar/base';
import type { Webhook } from '@quasar/subnet';
import { Command } from 'commander';
import { baseOption, checkpointFolder, teacherOption } from '../assets.ts';
import { contextOf } from '../context.ts';
import { queueAddress, threadsOption } from '../evaluation-options.ts';
import { EXIT } from '../exit-codes.ts';
import { Home } from '../home.ts';
import { hubOptions, type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { walletName, wholeNumber } from '../options.ts';
import { readRules, rulesOption, submissionBytes } from '../rules-option.ts';
import { listenForStop, tellSupervisor } from '../service.ts';
import { keysWithoutChain, type WalletOptions, withKeyOptions } from '../wallet-options.ts';
import { whenChainThere, whenThere } from '../when-there.ts';

interface ValidatorFlags extends NetOptions, WalletOptions {
  rules: string;
  queue?: string;
  evaluators: number;
  threads?: number;
  base: string;
  teacher: string;
}

export function validator(): Command {
  const run = withKeyOptions(withNetOptions(new Command('run')))
    .description('Judge submissions round by round and set weights on chain, until stopped.')
    .option('--name <name>', 'name of the wallet; its hotkey needs stake and a permit', walletName, 'validator')
    .addOption(rulesOption())
    .option('--queue <url>', 'where work is handed out: an SQLite file, or postgres://... (default: in the home)')
    .option('--evaluators <n>', 'evaluators in its own care; 0: only those started elsewhere', wholeNumber(0, 64), 1)
    .addOption(threadsOption())
    .addOption(baseOption())
    .addOption(teacherOption())
    .action(judge);
  return new Command('validator').description('The contest: check, duel, crown, weights.').addCommand(run);
}

async function judge(options: ValidatorFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const home = new Home(context.home);
  const { connectChain } = await import('@quasar/chain');
  const { createHubClient } = await import('@quasar/hub');
  const { openStore } = await import('@quasar/store');
  const { runAnnouncer, runValidator } = await import('@quasar/subnet');
  const webhook = await readWebhook();
  const urls = netUrls(options, home);
  const [baseDirectory, teacherDirectory] = [checkpointFolder(options.base), checkpointFolder(options.teacher)];
  const rules = await readRules(options.rules);
  const chain = connectChain(urls.chain, { stateDirectory: home.validatorFolder });
  const downloads = hubOptions(options, home, options.name, submissionBytes(rules));
  const hub = createHubClient(downloads);
  const keys = await keysWithoutChain(options, context, home);
  const wallet = await keys.openHotkey();
  const stopping = listenForStop();
  const store = openStore({ path: home.contestFile });
  const quiet = new AbortController();
  let announcing: Promise<void> = Promise.resolve();
  try {
    const note = (line: string) => context.note(`${new Date().toISOString()} ${line}`);
    // The share that is not the king's goes to the validator itself, unless the rules name a reserve.
    const { neurons } = await whenChainThere(
      urls.chain,
      (asked) => asked.metagraph(rules.netuid),
      whenThere((line) => note(`info ${line}`), stopping.signal),
    );
    const ownUid = neurons.find(({ hotkey }) => hotkey === wallet.hotkey)?.uid ?? null;
    const config = { ...rules, weights: { ...rules.weights, reserveUid: rules.weights.reserveUid ?? ownUid } };
    if (webhook) {
      const signal = AbortSignal.any([stopping.signal, quiet.signal]);
      const log = (line: string, isWarning: boolean) => note(`${isWarning ? 'warn' : 'info'} ${line}`);
      announcing = runAnnouncer({ store, webhook, wallet, netuid: rules.netuid, signal, log });
    }
    tellSupervisor({ type: 'ready', facts: { uid: ownUid } });
    await runValidator({
      chain,
      hub,
      store,
      wallet,
      config,
      baseDirectory,
      teacherDirectory,
      workDirectory: home.validatorFolder,
      cache: { name: options.name, quotaBytes: downloads.quotaBytes },
      queueUrl: options.queue === undefined ? home.queueFile : queueAddress(options.queue),
      evaluators: options.evaluators,
      threads: options.threads,
      signal: stopping.signal,
      log: ({ level, message, code }) => note(`${level} ${message}${code === undefined ? '' : ` [${code}]`}`),
    });
  } catch (error) {
    if (error !== stopping.signal.reason) throw error;
  } finally {
    if (stopping.reason() === 'interrupted') process.exitCode = EXIT.interrupted;
    quiet.abort();
    await announcing;
    await chain.close();
    await keys.close();
    store.close();
    stopping.dispose();
  }
}

/** From the environment: the address of a webhook is a secret, and arguments are seen by everybody on the machine. */
async function readWebhook(): Promise<Webhook | null> {
  const url = process.env.QUASAR_WEBHOOK_URL;
  if (!url) return null;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new QuasarError('usage.bad_webhook', 'QUASAR_WEBHOOK_URL is no http or https address', {
      hint: 'Give the whole address, such as https://discord.com/api/webhooks/...',
    });
  const { webhookForm } = await import('@quasar/subnet');
  return { url, form: webhookForm(url) };
}
