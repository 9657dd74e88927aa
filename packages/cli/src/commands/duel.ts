/** @file `quasar duel list | show | replay | export`: the duels in a validator's log, and the evidence behind them. */
import { join } from 'node:path';
import type { DuelJudged } from '@quasar/subnet';
import { Command } from 'commander';
import { TEACHER } from '../assets.ts';
import { contextOf, fromCaller } from '../context.ts';
import { Home } from '../home.ts';
import { wholeNumber } from '../options.ts';
import { record, table } from '../ui/table.ts';
import { DUEL_ID, findDuel, nameOf, openLog, verdictOf } from './duel-log.ts';
import { power, preview } from './duel-power.ts';
import { replay } from './duel-replay.ts';

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

const ENDINGS = {
  win: 'the win was certain',
  futility: 'a win was out of reach',
  last_look: 'no more were asked',
} as const;

const pText = (p: number) => (p < 1e-4 ? '< 0.0001' : p.toFixed(4));

function show(): Command {
  return new Command('show')
    .description('Show one duel: figures, gates, reasons.')
    .argument('<id>', DUEL_ID)
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
    prompts: `${data.n} of ${sequential.prompts}; then ${ENDINGS[sequential.reason]}`,
    quality: `${crownGate.quality.toFixed(4)}, king ${crownGate.kingQuality.toFixed(4)}`,
    verdict: verdictOf(data),
  };
  if (crownGate.reasons.length > 0) fields.because = crownGate.reasons.join('; ');
  return record(fields);
}

function exportTables(): Command {
  return new Command('export')
    .description('Write the evidence of a duel as Parquet: prompts, and KL token by token.')
    .argument('<id>', DUEL_ID)
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
