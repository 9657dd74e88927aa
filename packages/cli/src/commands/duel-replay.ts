/** @file `quasar duel replay`: a judged duel once more, and what of it is not the same. */
import { join } from 'node:path';
import type { Chain } from '@quasar/chain';
import type { Replay, ReplayCheck } from '@quasar/subnet';
import { Command } from 'commander';
import { baseOption, teacherOption } from '../assets.ts';
import { contextOf, fromCaller } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { Home } from '../home.ts';
import { type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { wholeNumber } from '../options.ts';
import { listenForStop } from '../service.ts';
import { startProgress } from '../ui/progress.ts';
import { table } from '../ui/table.ts';
import { HomeLock } from '../up/lock.ts';
import { DUEL_ID, findDuel, nameOf, openLog, verdictOf } from './duel-log.ts';

interface ReplayFlags extends NetOptions {
  base: string;
  teacher: string;
  threads?: number;
  stored?: true;
}

export function replay(): Command {
  return withNetOptions(new Command('replay'))
    .description(
      'Measure and judge a duel again, from the seed of its round and the stored evidence, and compare every bit with the log. ' +
        'Models come from the caches of the home, else from the hub. Exit code 3 when a bit differs.',
    )
    .argument('<id>', DUEL_ID)
    .addOption(baseOption())
    .addOption(teacherOption())
    .option('--stored', 'take the stored results of the models; run none')
    .option('--threads <number>', 'threads (default: one per core); no bit depends on it', wholeNumber(1, 256))
    .action(replayOne);
}

async function replayOne(id: string, options: ReplayFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const home = new Home(context.home);
  const { Compute, EvidenceFolder, EVIDENCE_FOLDER, ModelStore, PastModels, replayDuel } = await import(
    '@quasar/subnet'
  );
  const { createHubClient } = await import('@quasar/hub');
  const { CHECKPOINT_FILES, Tokenizer } = await import('@quasar/model');
  const log = await openLog(context);
  const { data } = findDuel(log, id);
  const [baseDirectory, teacherDirectory] = [fromCaller(options.base), fromCaller(options.teacher)];
  const stopping = listenForStop();
  const progress = startProgress(context, `replay of ${nameOf(data)}`);
  const runner = new Compute({ threads: options.threads });
  const hub = createHubClient({ url: netUrls(options, home).hub, cacheDirectory: home.cacheFolder('replay') });
  const store = new ModelStore({ hub, baseDirectory, teacherDirectory });
  const chain = await chainOf(options, home);
  try {
    const result = await replayDuel({
      ...{ log, round: data.round, id: data.id, signal: stopping.signal },
      evidence: new EvidenceFolder(join(home.validatorFolder, EVIDENCE_FOLDER)),
      tokenizer: Tokenizer.load(join(baseDirectory, CHECKPOINT_FILES.tokenizer)),
      again: options.stored ? null : { models: new PastModels({ caches: home.cacheFolders(), store }), runner },
      blockHash: chain && ((block) => chain.blockHash(block)),
      onProgress: (done, total, what) => progress.update(done, total, what),
    });
    progress.end();
    context.result({ ...result, name: nameOf(data) }, () => replayText(result, options.threads, chain !== null));
    if (!result.same) process.exitCode = EXIT.rejected;
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    process.exitCode = EXIT.interrupted;
  } finally {
    progress.end();
    await runner.close();
    chain?.close();
    stopping.dispose();
  }
}

/** Null when none was named and the net of the home rests: another chain may be at its address. */
async function chainOf(options: ReplayFlags, home: Home): Promise<Chain | null> {
  const isNamed = options.chain !== undefined || options.network !== undefined;
  if (!isNamed && !HomeLock.isHeld(home.lockFile)) return null;
  const { connectChain } = await import('@quasar/chain');
  return connectChain(netUrls(options, home).chain);
}

/** What each check holds against what, in the words of the table. */
const CHECKS: Record<ReplayCheck['what'], { what: string; against: string; unit: string }> = {
  seed: { what: 'seed of the round', against: 'chain', unit: 'block' },
  asked: { what: 'questions to the models, from the seed', against: 'evidence', unit: 'unit' },
  bytes: { what: 'stored bytes: digests, prompts, KL per token', against: 'evidence', unit: 'file' },
  traces: { what: "the teacher's continuations", against: 'evidence', unit: 'unit' },
  kl: { what: 'KL of the models', against: 'evidence', unit: 'unit' },
  answers: { what: "answers to the axes' questions", against: 'evidence', unit: 'unit' },
  likelihood: { what: 'what the teacher thinks of answers', against: 'evidence', unit: 'unit' },
  rollouts: { what: 'texts of the models, judged by the teacher', against: 'evidence', unit: 'unit' },
  fingerprint: { what: 'fingerprints', against: 'evidence', unit: 'unit' },
  measured: { what: 'KL per prompt and axes of each model', against: 'log', unit: 'event' },
  scores: { what: 'scores: axes and composite', against: 'log', unit: 'event' },
  duels: { what: 'duels: tests and crown gate', against: 'log', unit: 'event' },
  refusals: { what: 'refusals', against: 'log', unit: 'event' },
  crown: { what: 'crown of the round', against: 'log', unit: 'event' },
};

/** Of one check; a wrong seed changes every prompt. */
const SHOWN_DIFFERENCES = 5;

function replayText(
  { duel, seedBlock, computed, checks, same }: Replay,
  threads: number | undefined,
  isChainAsked: boolean,
): string {
  const shown = checks.filter(({ what, compared }) => compared > 0 || what === 'seed' || what === 'bytes');
  const rows = table(
    [
      { title: 'made again', value: ({ what }: ReplayCheck) => CHECKS[what].what },
      { title: 'held against', value: ({ what }) => CHECKS[what].against },
      { title: 'how many', value: ({ what, compared }) => countText(what, compared, seedBlock) },
      { title: 'result', value: (check) => resultText(check, isChainAsked) },
    ],
    shown,
  );
  const on = threads === undefined ? '' : ` on ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  const how = computed ? `the models were run again${on}` : 'from the stored results, no model was run';
  return [
    `uid ${duel.uid}, ${duel.repo} against ${duel.king.repo} in round ${duel.round}: ${verdictOf(duel)}; ${how}`,
    '',
    rows,
    '',
    ...(same ? ['Every bit is the same.'] : checks.flatMap(differenceLines)),
  ].join('\n');
}

function countText(what: ReplayCheck['what'], compared: number, seedBlock: number): string {
  if (what === 'seed') return `block ${seedBlock}`;
  const { unit } = CHECKS[what];
  return `${compared} ${compared === 1 ? unit : `${unit}s`}`;
}

function resultText({ what, compared, differences }: ReplayCheck, isChainAsked: boolean): string {
  if (compared === 0 && what === 'bytes') return 'thrown away with old rounds';
  if (compared === 0) return isChainAsked ? 'the chain did not answer' : 'no chain was asked: see --chain';
  return differences.length === 0 ? 'same bits' : `${differences.length} differ`;
}

function differenceLines({ what, differences }: ReplayCheck): string[] {
  const { against } = CHECKS[what];
  const shown = differences.slice(0, SHOWN_DIFFERENCES);
  const rest = differences.length - shown.length;
  return [
    ...shown.map(({ where, got, expected }) => `differs: ${where}: now ${got}, in the ${against} ${expected}`),
    ...(rest > 0 ? [`and ${rest} more of ${CHECKS[what].what}; all with --json`] : []),
  ];
}
