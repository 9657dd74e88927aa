/** @file `quasar data inspect`: what training would read of some data, and what it would pass over. */
import type { DataPart } from '@quasar/train';
import { Command } from 'commander';
import { contextOf, fromCaller, REPOSITORY } from '../context.ts';
import { DATA_HELP, type DataFlags, readSpecs, skippedLine, stageData, withDataDetails } from '../data-options.ts';
import { EXIT } from '../exit-codes.ts';
import { listenForStop } from '../service.ts';
import { type Column, table } from '../ui/table.ts';

const DEFAULT_TOKENIZER = 'assets/tokenizer.json';

interface InspectFlags extends Omit<DataFlags, 'data'> {
  tokenizer?: string;
}

export function data(): Command {
  const inspect = withDataDetails(new Command('inspect'))
    .description('Read and tokenise data as training would, and say what is in it.')
    .argument('<what...>', DATA_HELP)
    .option('--tokenizer <file>', `tokenizer.json to count with (default: ${DEFAULT_TOKENIZER})`)
    .action(async (texts: string[], options: InspectFlags, command: Command) => run(texts, options, command));
  return new Command('data').description('Training data.').addCommand(inspect);
}

async function run(texts: string[], options: InspectFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const { openData } = await import('@quasar/train');
  const { Tokenizer } = await import('@quasar/model');
  const path = options.tokenizer === undefined ? `${REPOSITORY}/${DEFAULT_TOKENIZER}` : fromCaller(options.tokenizer);
  const tokenizer = Tokenizer.load(path);
  const stopping = listenForStop();
  try {
    const { specs, ...given } = await stageData(context, await readSpecs(texts), options);
    const opened = await openData(specs, { ...given, tokenizer, windowTokens: 256, signal: stopping.signal });
    const rows = opened.parts.map(summary);
    const { skipped } = opened;
    context.result({ data: rows, skipped, specs: opened.specs }, () =>
      [table(COLUMNS, rows), ...(skipped.length > 0 ? ['', ...skipped.map(skippedLine)] : [])].join('\n'),
    );
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    process.exitCode = EXIT.interrupted;
  } finally {
    stopping.dispose();
  }
}

type Row = ReturnType<typeof summary>;

function summary({ name, spec, files, sizeBytes, train, heldOut, skipped }: DataPart) {
  const textBytes = train.textBytes + heldOut.textBytes;
  const tokens = train.tokens + heldOut.tokens;
  return {
    ...{ name, spec, files, sizeBytes, tokens, textBytes },
    documents: train.documents + heldOut.documents,
    bytesPerToken: textBytes / tokens,
    heldOutShare: heldOut.textBytes / textBytes,
    heldOutBytesPerToken: heldOut.bytesPerToken,
    skipped: skipped.reduce((sum, { count }) => sum + count, 0),
  };
}

const COLUMNS: Column<Row>[] = [
  { title: 'data', value: ({ name }) => name },
  { title: 'files', value: ({ files }) => files },
  { title: 'documents', value: ({ documents }) => documents },
  { title: 'tokens', value: ({ tokens }) => tokens },
  { title: 'MB of text', value: ({ textBytes }) => (textBytes / 1e6).toFixed(2), isNumeric: true },
  { title: 'bytes/token', value: ({ bytesPerToken }) => bytesPerToken.toFixed(3), isNumeric: true },
  { title: 'held out', value: ({ heldOutShare }) => `${(100 * heldOutShare).toFixed(2)} %`, isNumeric: true },
  { title: 'left out', value: ({ skipped }) => skipped },
];
