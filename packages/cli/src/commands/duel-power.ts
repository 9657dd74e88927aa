/** @file `quasar duel power | preview`: what a duel can see, and one fought at home before anything is published. */
import { existsSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import type { MeasuredDuel, SubnetConfig } from '@quasar/subnet';
import { Command, InvalidArgumentError } from 'commander';
import { BASE, teacherOption } from '../assets.ts';
import { type Context, contextOf, fromCaller } from '../context.ts';
import { Home } from '../home.ts';
import { duelAtHome, duelText, kingOrBase, type Opponent, powerLines } from '../miner/duel-at-home.ts';
import { hubOptions, type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { wholeNumber } from '../options.ts';
import { readRules, rulesOption, submissionBytes } from '../rules-option.ts';
import { listenForStop } from '../service.ts';

const DEFAULT_PERCENT = 2;

export function power(): Command {
  return new Command('power')
    .description('How likely a duel finds a true improvement, with the spread of the duel that crowned the king.')
    .option('--improvement <percent>', "of the king's KL", percent, DEFAULT_PERCENT)
    .option('--prompts <number>', 'length of the duel (default: that of the rules)', wholeNumber(100, 100_000))
    .addOption(rulesOption())
    .action(async (options: { improvement: number; prompts?: number; rules: string }, command: Command) => {
      const context = contextOf(command);
      const { duelPower } = await import('@quasar/subnet');
      const { duel } = await readRules(options.rules);
      const measured = await readKingsDuel(context);
      const { improvement, prompts } = options;
      const { deltas, kingKl } = measured;
      const found = duelPower({ deltas, kingKl, duel, improvement: improvement / 100, prompts });
      const { round, king, challenger } = measured;
      const value = { ...found, measured: { round, king, challenger, prompts: deltas.length } };
      context.result(value, () => `${sourceText(measured)}\n\n${powerLines(found).join('\n')}`);
    });
}

/** @throws usage.no_duel */
async function readKingsDuel(context: Context): Promise<MeasuredDuel> {
  const { openStore } = await import('@quasar/store');
  const { kingsDuel, rebuildContest } = await import('@quasar/subnet');
  const path = new Home(context.home).contestFile;
  const hint = 'start the local net with `quasar up` and wait for a round, or fight one with `quasar duel preview`';
  if (!existsSync(path)) throw new QuasarError('usage.no_duel', `${path}: no contest has run in this home`, { hint });
  const store = openStore({ path });
  try {
    const measured = kingsDuel(rebuildContest(store.events()));
    if (measured) return measured;
    throw new QuasarError('usage.no_duel', `${path}: no duel has been judged yet`, { hint });
  } finally {
    store.close();
  }
}

interface PreviewFlags extends NetOptions {
  against: string;
  teacher: string;
  seed: string;
  rules: string;
}

export function preview(): Command {
  return withNetOptions(new Command('preview'))
    .description('Fight the duel of the rules at home, with questions of your own seed. Nothing is published.')
    .argument('<model>', 'folder of a checkpoint')
    .option('--against <model>', 'folder of a checkpoint, or `king`: who reigns on the net', 'king')
    .addOption(teacherOption())
    .addOption(rulesOption())
    .option('--seed <text>', 'of the questions; the real one is a block hash that nobody knows yet', 'preview')
    .action(async (model: string, options: PreviewFlags, command: Command) => {
      const context = contextOf(command);
      const stopping = listenForStop();
      try {
        const { signal } = stopping;
        const config = await readRules(options.rules);
        const opponent = await findOpponent(options, context, config, signal);
        const teacher = fromCaller(options.teacher);
        const { seed } = options;
        const directory = fromCaller(model);
        const fought = await duelAtHome(context, { directory, opponent, teacher, config, seed, signal });
        context.result(fought, () => duelText(fought));
      } finally {
        stopping.dispose();
      }
    });
}

async function findOpponent(
  { against, ...net }: PreviewFlags,
  context: Context,
  config: SubnetConfig,
  signal: AbortSignal,
): Promise<Opponent> {
  if (against !== 'king') return { name: against, directory: fromCaller(against) };
  const home = new Home(context.home);
  const { connectChain } = await import('@quasar/chain');
  const { createHubClient } = await import('@quasar/hub');
  const urls = netUrls(net, home);
  const hub = createHubClient(hubOptions(net, home, 'duel', submissionBytes(config)));
  return kingOrBase(connectChain(urls.chain), hub, config, BASE, signal);
}

function sourceText({ round, king, challenger, deltas, kingKl }: MeasuredDuel): string {
  const name = ({ uid, repo }: MeasuredDuel['king']) => (uid < 0 ? 'the base student' : `uid ${uid} (${repo})`);
  const who = `${name(challenger)} against ${name(king)}`;
  return `measured over ${deltas.length} prompts of round ${round}, ${who}; KL to beat ${kingKl.toFixed(4)}`;
}

/** `2`, `2%` or `0.5`. */
function percent(text: string): number {
  const value = Number(text.replace(/\s*%$/, ''));
  if (value > 0 && value < 100) return value;
  throw new InvalidArgumentError('Expected a percentage above 0 and below 100.');
}
