/** @file `--data` and what belongs to it, for every verb that reads data. */
import type { HubClient } from '@quasar/hub';
import type { DataSpec, SkippedData, StageData } from '@quasar/train';
import type { Command } from 'commander';
import { type Context, fromCaller } from './context.ts';
import { Home } from './home.ts';
import { wholeNumber } from './options.ts';
import { startProgress } from './ui/progress.ts';

export interface DataFlags {
  data?: string[];
  textField: string;
  dataLimit: number;
}

const MIB = 2 ** 20;
const DEFAULT_LIMIT_MIB = 2048;
const HUGGING_FACE = 'https://huggingface.co';

export const DATA_HELP =
  'a file or folder (text, JSONL, Parquet), hf:owner/name[@revision][:glob], world, or recall (documents that ask for what was said before, among the other data); @WEIGHT at the end is its share of the tokens';

/** @param what begins the help of `--data` */
export function withDataOptions(command: Command, what: string): Command {
  return withDataDetails(command.option('--data <what...>', `${what}: ${DATA_HELP}`));
}

export function withDataDetails(command: Command): Command {
  return command
    .option('--text-field <name>', 'member of JSONL, or column of Parquet, that holds the text', 'text')
    .option('--data-limit <MiB>', 'of a data set of the hub, how much to download', wholeNumber(1), DEFAULT_LIMIT_MIB);
}

/** Paths count from where the user is. @throws data.bad_spec */
export async function readSpecs(texts: string | readonly string[]): Promise<DataSpec[]> {
  const { parseData } = await import('@quasar/train');
  return parseData([texts].flat()).map((spec) =>
    spec.kind === 'path' ? { ...spec, path: fromCaller(spec.path) } : spec,
  );
}

/** Half as much text as conversations of the world, unless `world` is among the specs. */
export function besideWorld(specs: readonly DataSpec[]): DataSpec[] {
  if (specs.some(({ kind }) => kind === 'world')) return [...specs];
  const total = specs.reduce((sum, { weight }) => sum + weight, 0);
  return [{ kind: 'world', weight: 2 * total }, ...specs];
}

/** Where data sets come from: `HF_ENDPOINT` or Hugging Face, with the token of `HF_TOKEN`. */
export async function dataHub(home: Home): Promise<() => HubClient> {
  const { createHubClient } = await import('@quasar/hub');
  const { HF_ENDPOINT: url = HUGGING_FACE, HF_TOKEN: token } = process.env;
  return () => createHubClient({ url, token, cacheDirectory: home.cacheFolder('data') });
}

/** What a stage is to read, with a bar while it is fetched and tokenised, and a line for what is passed over. */
export async function stageData(
  context: Context,
  specs: readonly DataSpec[],
  flags: Pick<DataFlags, 'textField' | 'dataLimit'>,
): Promise<StageData> {
  const home = new Home(context.home);
  const progress = startProgress(context, 'reading data');
  return {
    specs,
    cacheDirectory: home.cacheFolder('tokens'),
    textField: flags.textField,
    maxDownloadBytes: flags.dataLimit * MIB,
    hub: await dataHub(home),
    onProgress({ name, phase, doneBytes, totalBytes }) {
      progress.update(doneBytes, totalBytes, `${name}: ${phase}`);
      if (doneBytes >= totalBytes) progress.end();
    },
    onSkipped: (skipped) => context.note(`quasar: ${skippedLine(skipped)}`),
  };
}

export function skippedLine({ path, line, message, count }: SkippedData): string {
  const more = count > 1 ? `, and ${count - 1} more like it` : '';
  return `left out: ${path}${line === undefined ? '' : `:${line}`}: ${message}${more}`;
}
