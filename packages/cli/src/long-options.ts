/** @file What `extend` and `graft` share: options of long documents, the table of recall by distance. */
import type { LongOptions, LongResult } from '@quasar/train';
import { type Command, InvalidArgumentError } from 'commander';
import { wholeNumber } from './options.ts';
import { table } from './ui/table.ts';

export interface LongFlags {
  lengths: number[];
  longRows: number;
  blockTokens?: number;
  needles: number;
}

export function withLongOptions(command: Command): Command {
  return command
    .requiredOption(
      '--lengths <numbers>',
      'tokens of long documents, phase by phase: 512,1024,2048',
      listOfWholeNumbers(2),
    )
    .option('--long-rows <number>', 'long rows of a step; short ones keep 70 % of the tokens', wholeNumber(1), 1)
    .option(
      '--block-tokens <number>',
      'gradients of long rows end every so many tokens (default: 4 short rows)',
      wholeNumber(1),
    )
    .option('--needles <number>', 'documents per distance that recall is measured on', wholeNumber(1), 64);
}

export function listOfWholeNumbers(least: number): (text: string) => number[] {
  return (text) => {
    const numbers = text.split(',').map(Number);
    if (/^\d+(,\d+)*$/.test(text) && numbers.every((number) => number >= least)) return numbers;
    throw new InvalidArgumentError(`Expected whole numbers of at least ${least} with commas between.`);
  };
}

export function longOptions({ lengths, longRows, blockTokens, needles }: LongFlags): LongOptions {
  return { lengths, longRows, recallDocuments: needles, ...(blockTokens === undefined ? {} : { blockTokens }) };
}

export function recallTable({ recall: { before, after } }: LongResult): string {
  const share = (accuracy: number | undefined) => `${(100 * (accuracy ?? Number.NaN)).toFixed(1)} %`;
  const rows = before.map(({ distance, accuracy }, i) => ({ distance, before: accuracy, after: after[i]?.accuracy }));
  type Row = (typeof rows)[number];
  return table(
    [
      { title: 'needle so many tokens back', value: ({ distance }: Row) => distance },
      { title: 'recalled before', value: (row: Row) => share(row.before), isNumeric: true },
      { title: 'after', value: (row: Row) => share(row.after), isNumeric: true },
    ],
    rows,
  );
}
