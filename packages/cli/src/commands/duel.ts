/** @file `quasar duel list | show | replay | export`: the duels in a validator's log, and the evidence behind them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import type { StoredEvent } from '@quasar/store';
import type { DuelJudged, Replay } from '@quasar/subnet';
import { Command } from 'commander';
import { baseOption, TEACHER, teacherOption } from '../assets.ts';
import { type Context, contextOf, fromCaller } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { Home } from '../home.ts';
import { netUrls } from '../net-options.ts';
import { wholeNumber } from '../options.ts';
import { listenForStop } from '../service.ts';
import { startProgress } from '../ui/progress.ts';
import { record, table } from '../ui/table.ts';
import { power, preview } from './duel-power.ts';

const ID = '`<round>:<uid>` as `quasar duel list` shows it';

export function duel(): Command {
  return new Command('duel')
    .description('Judged duels: what they rest on, the same verdict once more; and what a duel to come can see.')
    .addCommand(list())
    .addCommand(show())
    .addCommand(replay())
    .addCommand(exportTables())
    .addCommand(power())
    .addCommand(preview());
}

function list(): Command {
  return new Command('list')
    .description('List the duels of this home, newest last.')
    .option('--last <number>', 'how many', wholeNumber(1, 1_000_000), 20)
    .action(async (options: { last: number }, command: Command) => {
      const context = contextOf(command);
      const duels = (await openLog(context)).filter(({ type }) => type === 'duel.judged');
      const rows = duels.slice(-options.last).map(({ data }) => ({ duel: nameOf(data), ...data }));
      context.result({ duels: rows, total: duels.length }, () =>
        rows.length === 0 ? 'no duels yet' : listText(rows, duels.length),
      );
    });
}

function listText(rows: readonly (DuelJudged & { duel: string })[], total: number): string {
  const shown = table(
    [
      { title: 'duel', value: (row) => row.duel },
      { title: 'challenger', value: (row) => row.repo },
      { title: 'king', value: (row) => row.king.repo },
      { title: 'prompts', isNumeric: true, value: (row) => row.n },
      { title: 'mean delta', isNumeric: true, value: (row) => row.meanDelta.toFixed(5) },
      { title: 'lower bound', isNumeric: true, value: (row) => row.lcb.toFixed(5) },
      { title: 'p', isNumeric: true, value: (row) => pText(row.p) },
      { title: 'verdict', value: (row) => verdictOf(row) },
    ],
    rows,
  );
  return total > rows.length ? `${shown}\n${rows.length} of ${total}; --last shows more` : shown;
}

const ENDINGS = { win: 'a certain win', futility: 'a win out of reach', last_look: 'the last prompt' } as const;

const pText = (p: number) => (p < 1e-4 ? '< 0.0001' : p.toFixed(4));

function verdictOf({ win, crownGate }: DuelJudged): string {
  if (!win) return 'lost';
  return crownGate.passed ? 'won' : 'won, no crown';
}

function show(): Command {
  return new Command('show')
    .description('Show one duel: figures, gates, reasons.')
    .argument('<id>', ID)
    .action(async (id: string, _options, command: Command) => {
      const context = contextOf(command);
      const { data } = findDuel(await openLog(context), id);
      context.result({ duel: nameOf(data), ...data }, () => showText(data));
    });
}

function showText(data: DuelJudged): string {
  const { king, crownGate, bootstrap, sequential } = data;
  const fields: Record<string, string> = {
    challenger: `uid ${data.uid}, ${data.repo}@${data.revision.slice(0, 8)}`,
    king: `uid ${king.uid}, ${king.repo}@${king.revision.slice(0, 8)}`,
    KL: `challenger ${data.challengerKl.toFixed(5)}, king ${data.kingKl.toFixed(5)} nats per token`,
    'mean delta': `${data.meanDelta.toFixed(5)} (standard error ${data.se.toFixed(5)}, lower bound ${data.lcb.toFixed(5)}, p ${pText(data.p)})`,
    bootstrap: `${bootstrap.low.toFixed(5)} to ${bootstrap.high.toFixed(5)}`,
    prompts: `${data.n} of ${sequential.prompts}, ended by ${ENDINGS[sequential.reason]}`,
    quality: `${crownGate.quality.toFixed(4)}, king ${crownGate.kingQuality.toFixed(4)}`,
    verdict: verdictOf(data),
  };
  if (crownGate.reasons.length > 0) fields.because = crownGate.reasons.join('; ');
  return record(fields);
}

interface ReplayFlags {
  hub?: string;
  base: string;
  teacher: string;
  threads?: number;
  verdictOnly?: true;
}

function replay(): Command {
  return new Command('replay')
    .description('Compute a duel again from its evidence and compare every bit; exit code 3 when one differs.')
    .argument('<id>', ID)
    .option('--hub <url>', 'URL of the hub that the models are read from (default: the net of the home)')
    .addOption(baseOption())
    .addOption(teacherOption())
    .option('--threads <number>', 'threads (default: one per core); no bit depends on it', wholeNumber(1, 256))
    .option('--verdict-only', 'the rules on what was measured, without running a model')
    .action(replayOne);
}

async function replayOne(id: string, options: ReplayFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const home = new Home(context.home);
  const { Compute, EvidenceFolder, EVIDENCE_FOLDER, ModelStore, replayDuel } = await import('@quasar/subnet');
  const { createHubClient } = await import('@quasar/hub');
  const log = await openLog(context);
  const { data } = findDuel(log, id);
  const stopping = listenForStop();
  const progress = startProgress(context, `replay of ${id}`);
  const runner = new Compute({ threads: options.threads });
  const store = new ModelStore({
    hub: createHubClient({ url: netUrls(options, home).hub, cacheDirectory: home.cacheFolder('replay') }),
    baseDirectory: fromCaller(options.base),
    teacherDirectory: fromCaller(options.teacher),
  });
  try {
    const result = await replayDuel({
      ...{ log, round: data.round, id: data.id, signal: stopping.signal },
      evidence: new EvidenceFolder(join(home.validatorFolder, EVIDENCE_FOLDER)),
      models: options.verdictOnly ? null : { store, runner },
      onProgress: (done, total, what) => progress.update(done, total, what),
    });
    progress.end();
    context.result({ duel: id, ...result }, () => replayText(result));
    if (!result.same) process.exitCode = EXIT.rejected;
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    process.exitCode = EXIT.interrupted;
  } finally {
    progress.end();
    await runner.close();
    stopping.dispose();
  }
}

function replayText({ checks, same }: Replay): string {
  const lines = checks.map(({ what, name, compared, differences }) => ({
    what,
    of: name ?? '',
    compared: `${compared} ${what === 'verdict' ? 'events' : 'units'}`,
    result: differences.length === 0 ? 'same bits' : `${differences.length} differ`,
  }));
  const rows = table(
    [
      { title: 'computed again', value: ({ what }) => what },
      { title: 'of', value: ({ of }) => of },
      { title: 'compared', value: ({ compared }) => compared },
      { title: 'result', value: ({ result }) => result },
    ],
    lines,
  );
  const differences = checks.flatMap((check) => check.differences);
  const end = same ? 'Every bit is the same.' : differences.map((line) => `differs: ${line}`).join('\n');
  return `${rows}\n${end}`;
}

function exportTables(): Command {
  return new Command('export')
    .description('Write the evidence of a duel as Parquet: prompts, and KL token by token.')
    .argument('<id>', ID)
    .requiredOption('--out <folder>', 'where the files go')
    .option('--tokenizer <folder>', 'checkpoint whose tokenizer spells the tokens (default: assets/teacher)')
    .action(async (id: string, options: { out: string; tokenizer?: string }, command: Command) => {
      const context = contextOf(command);
      const home = new Home(context.home);
      const { EvidenceFolder, EVIDENCE_FOLDER, exportDuel } = await import('@quasar/subnet');
      const { CHECKPOINT_FILES, Tokenizer } = await import('@quasar/model');
      const log = await openLog(context);
      const { data } = findDuel(log, id);
      const folder = options.tokenizer === undefined ? TEACHER : fromCaller(options.tokenizer);
      const result = await exportDuel({
        ...{ log, round: data.round, id: data.id, folder: fromCaller(options.out) },
        evidence: new EvidenceFolder(join(home.validatorFolder, EVIDENCE_FOLDER)),
        tokenizer: Tokenizer.load(join(folder, CHECKPOINT_FILES.tokenizer)),
      });
      context.result(
        { duel: id, ...result },
        `${result.prompts} prompts and ${result.tokens} tokens in ${result.folder}: ${result.files.join(', ')}`,
      );
    });
}

/** The whole log of the validator of this home. @throws QuasarError `duel.no_log`, `store.*` */
async function openLog(context: Context): Promise<(StoredEvent & { data: DuelJudged })[]> {
  const { contestFile } = new Home(context.home);
  if (!existsSync(contestFile))
    throw new QuasarError('duel.no_log', `${contestFile} is not there: no validator ever ran in this home`, {
      hint: 'Give the home of a validator with --home.',
    });
  const { openStore } = await import('@quasar/store');
  const store = openStore({ path: contestFile });
  try {
    return store.events() as (StoredEvent & { data: DuelJudged })[];
  } finally {
    store.close();
  }
}

const nameOf = ({ round, uid }: DuelJudged) => `${round}:${uid}`;

/** @throws QuasarError `duel.unknown` */
function findDuel(log: readonly StoredEvent[], id: string): StoredEvent<DuelJudged> {
  const duels = log.filter(({ type }) => type === 'duel.judged') as StoredEvent<DuelJudged>[];
  const found = duels.find(({ data, key }) => nameOf(data) === id || key === id);
  if (found) return found;
  const newest = duels.slice(-3).map(({ data }) => nameOf(data));
  throw new QuasarError('duel.unknown', `no duel ${id.slice(0, 100)} in this log`, {
    hint: newest.length > 0 ? `The newest are ${newest.join(', ')}; see \`quasar duel list\`.` : 'There is none yet.',
  });
}
