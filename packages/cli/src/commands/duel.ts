/** @file `quasar duel power | preview`: what a duel can see, and one fought at home before anything is published. */
import { existsSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import type { DuelPower, MeasuredDuel, PreviewDuel } from '@quasar/subnet';
import { Command, InvalidArgumentError } from 'commander';
import { BASE, teacherOption } from '../assets.ts';
import { type Context, contextOf, fromCaller } from '../context.ts';
import { Home } from '../home.ts';
import { findKing } from '../miner/find-king.ts';
import { type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { wholeNumber } from '../options.ts';
import { listenForStop } from '../service.ts';
import { startProgress } from '../ui/progress.ts';
import { record } from '../ui/table.ts';

const DEFAULT_PERCENT = 2;

export function duel(): Command {
  return new Command('duel').description('Duels: what they can see.').addCommand(power()).addCommand(preview());
}

function power(): Command {
  return new Command('power')
    .description('How likely a duel finds a true improvement, with the spread of the duel that crowned the king.')
    .option('--improvement <percent>', "of the king's KL", percent, DEFAULT_PERCENT)
    .option('--prompts <number>', 'length of the duel (default: that of the rules)', wholeNumber(100, 100_000))
    .action(async (options: { improvement: number; prompts?: number }, command: Command) => {
      const context = contextOf(command);
      const { duelPower, LOCAL } = await import('@quasar/subnet');
      const measured = await readKingsDuel(context);
      const { improvement, prompts } = options;
      const { deltas, kingKl } = measured;
      const found = duelPower({ deltas, kingKl, duel: LOCAL.duel, improvement: improvement / 100, prompts });
      const { round, king, challenger } = measured;
      const value = { ...found, measured: { round, king, challenger, prompts: deltas.length } };
      context.result(value, () => `${sourceText(measured)}\n\n${powerText(found)}`);
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
}

function preview(): Command {
  return withNetOptions(new Command('preview'))
    .description('Fight the duel of the rules at home, with questions of your own seed. Nothing is published.')
    .argument('<model>', 'folder of a checkpoint')
    .option('--against <model>', 'folder of a checkpoint, or `king`: who reigns on the net', 'king')
    .addOption(teacherOption())
    .option('--seed <text>', 'of the questions; the real one is a block hash that nobody knows yet', 'preview')
    .action(async (model: string, options: PreviewFlags, command: Command) => {
      const context = contextOf(command);
      const { duelPower, LOCAL, previewDuel } = await import('@quasar/subnet');
      const stopping = listenForStop();
      const bars = new Map<string, ReturnType<typeof startProgress>>();
      try {
        const opponent = await findOpponent(options, context, stopping.signal);
        const fought = await previewDuel({
          ...{ directory: fromCaller(model), opponentDirectory: opponent.directory, config: LOCAL, seed: options.seed },
          teacherDirectory: fromCaller(options.teacher),
          signal: stopping.signal,
          onProgress: (phase, done, total) => {
            const bar = bars.get(phase) ?? startProgress(context, phase);
            bars.set(phase, bar);
            bar.update(done, total);
            if (done === total) bar.end();
          },
        });
        const { deltas, ...shown } = fought;
        const found = duelPower({
          ...{ deltas, kingKl: fought.opponentKl, duel: LOCAL.duel },
          improvement: DEFAULT_PERCENT / 100,
        });
        context.result({ opponent: opponent.name, ...shown, power: found }, () =>
          previewText(opponent.name, fought, found),
        );
      } finally {
        for (const bar of bars.values()) bar.end();
        stopping.dispose();
      }
    });
}

async function findOpponent(
  { against, ...net }: PreviewFlags,
  context: Context,
  signal: AbortSignal,
): Promise<{ name: string; directory: string }> {
  if (against !== 'king') return { name: against, directory: fromCaller(against) };
  const home = new Home(context.home);
  const { connectChain } = await import('@quasar/chain');
  const { createHubClient } = await import('@quasar/hub');
  const urls = netUrls(net, home);
  const hub = createHubClient({ url: urls.hub, cacheDirectory: home.cacheFolder('duel') });
  const king = await findKing(connectChain(urls.chain), hub, signal);
  return king ? { name: king.repo, directory: king.directory } : { name: 'the base student', directory: BASE };
}

function previewText(opponent: string, { test, verdict, kl, opponentKl }: PreviewDuel, found: DuelPower): string {
  const early = verdict.reason === 'last_look' ? '' : `, decided after ${verdict.atN}`;
  const gain = percentText(test.meanDelta / opponentKl, 2);
  return [
    `${verdict.decided === 'win' ? 'WON' : 'LOST'} against ${opponent} over ${test.n} prompts${early}; the crown also asks for quality`,
    record({
      'KL, nats per token': `${kl.toFixed(4)}, opponent ${opponentKl.toFixed(4)}`,
      'mean delta': `${test.meanDelta.toFixed(5)} ± ${(1.96 * test.se).toFixed(5)}, ${gain} of the opponent's KL`,
      'p, one-sided': test.p < 1e-4 ? '< 0.0001' : test.p.toFixed(4),
    }),
    '',
    powerText(found),
  ].join('\n');
}

function sourceText({ round, king, challenger, deltas, kingKl }: MeasuredDuel): string {
  const name = ({ uid, repo }: MeasuredDuel['king']) => (uid < 0 ? 'the base student' : `uid ${uid} (${repo})`);
  const who = `${name(challenger)} against ${name(king)}`;
  return `measured over ${deltas.length} prompts of round ${round}, ${who}; KL to beat ${kingKl.toFixed(4)}`;
}

function powerText({ prompts, kingKl, sd, improvement, effect, probability, simulated, eighty }: DuelPower): string {
  const found = `A true improvement of ${percentText(improvement, 1)} (${effect.toFixed(4)} nats)`;
  const needed = Number.isFinite(eighty.prompts)
    ? `or ${eighty.prompts} prompts for ${percentText(improvement, 1)}`
    : `${percentText(improvement, 1)} is within the margin and never found`;
  return [
    `With n = ${prompts} prompts and a spread of ${sd.toFixed(4)} nats per prompt (${percentText(sd / kingKl, 0)} of the KL to beat):`,
    `${found} is found with probability ${percentText(probability, 0)};`,
    `with early stopping ${percentText(simulated.probability, 0)}, after ${simulated.meanPrompts.toFixed(0)} prompts on average.`,
    `For 80 % it takes an improvement of ${percentText(eighty.improvement, 1)}, ${needed}.`,
  ].join('\n');
}

function percentText(share: number, digits: number): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** `2`, `2%` or `0.5`. */
function percent(text: string): number {
  const value = Number(text.replace(/\s*%$/, ''));
  if (value > 0 && value < 100) return value;
  throw new InvalidArgumentError('Expected a percentage above 0 and below 100.');
}
