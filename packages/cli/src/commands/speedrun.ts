/** @file `quasar speedrun`: from a text to a model to talk to in minutes, beside a softmax transformer of equal size. */
import { basename, join } from 'node:path';
import { QuasarError } from '@quasar/base';
import type { SpeedrunModel, SpeedrunPlan, SpeedrunResult, SpeedrunRow } from '@quasar/train';
import { Command } from 'commander';
import { type Context, contextOf, fromCaller } from '../context.ts';
import { DATA_HELP, type DataFlags, readSpecs, stageData, withDataDetails } from '../data-options.ts';
import { EXIT } from '../exit-codes.ts';
import { depth, wholeNumber } from '../options.ts';
import { listenForStop } from '../service.ts';
import { CANCELLED } from '../training-run.ts';
import { type Progress, startProgress } from '../ui/progress.ts';
import { table } from '../ui/table.ts';

interface SpeedrunFlags extends DataFlags {
  data: string[];
  out?: string;
  depth: number;
  vocabulary: number;
  seed: string;
}

export function speedrun(): Command {
  const command = new Command('speedrun').requiredOption(
    '--data <what...>',
    `a text of some hundred kilobytes or more: ${DATA_HELP}`,
  );
  return withDataDetails(command)
    .description('Train a Quasar on your text in minutes, and an equal transformer beside it. Run again to resume.')
    .option('--out <folder>', 'where both models go (default: <home>/speedrun/<data>-<depth>)')
    .option('--depth <number>', 'layers, an even number: size, learning rate, batch and length follow', depth, 4)
    .option('--vocabulary <number>', 'tokens of the tokenizer', wholeNumber(264, 2 ** 16), 512)
    .option('--seed <text>', 'equal seeds give equal models', '0')
    .action(async (options: SpeedrunFlags, command: Command) => run(options, contextOf(command)));
}

async function run(options: SpeedrunFlags, context: Context): Promise<void> {
  const stages = await import('@quasar/train');
  const { depth, vocabulary: vocabSize, seed } = options;
  const names = options.data.map((text) => basename(text).replace(/\W+/g, '-'));
  const name = `${names.join('-')}-${depth}`;
  const directory = options.out === undefined ? join(context.home, 'speedrun', name) : fromCaller(options.out);
  const stopping = listenForStop();
  const startedAtMs = performance.now();
  const bars = new Map<string, Progress>();
  const endBars = () => {
    for (const bar of bars.values()) bar.end();
  };
  const progressOf = (label: string): Progress => {
    const known = bars.get(label);
    if (known) return known;
    endBars();
    const bar = startProgress(context, label);
    bars.set(label, bar);
    return bar;
  };
  try {
    const result = await stages.speedrun({
      ...{ directory, depth, vocabSize, seed, signal: stopping.signal },
      data: await stageData(context, await readSpecs(options.data), options),
      onPlan: (plan) => context.note(planText(plan)),
      onStep(model, { step, steps, metrics, tokensPerSecond, etaMs }) {
        const left = `${Math.ceil(etaMs / 1000)} s left`;
        const detail = `step ${step}  ce ${metrics.ce?.toFixed(3)}  ${Math.round(tokensPerSecond)} tokens/s  ${left}`;
        progressOf(`train ${model}`).update(step, steps, detail);
      },
      onScore: (model, done, total) => progressOf(`score ${model}`).update(done, total),
    });
    endBars();
    const seconds = (performance.now() - startedAtMs) / 1000;
    context.result({ ...result, seconds }, () => resultText(result, seconds));
  } catch (error) {
    endBars();
    if (!(error instanceof QuasarError) || !CANCELLED.has(error.code)) throw error;
    context.note(`quasar: ${error.message}; ${error.hint ?? 'run the same command again'}`);
    process.exitCode = EXIT.interrupted;
  } finally {
    stopping.dispose();
  }
}

function planText({ vocabulary, steps, tokens, parameters, predictedMs }: SpeedrunPlan): string {
  const size = (model: SpeedrunModel) => `${model} of ${(parameters[model] / 1e6).toFixed(2)} M parameters`;
  return [
    `tokenizer: ${vocabulary} tokens`,
    `models: ${size('quasar')}, ${size('transformer')}`,
    `each: ${steps} steps, ${(tokens / 1e6).toFixed(2)} M tokens; about ${Math.ceil(predictedMs / 1000)} s for both`,
  ].join('\n');
}

function resultText({ rows, heldOut, directory }: SpeedrunResult, seconds: number): string {
  const number = (value: number | null, digits = 0) => (value === null ? '' : value.toFixed(digits));
  const columns = [
    { title: 'model', value: (row: SpeedrunRow) => row.model },
    { title: 'parameters', value: (row: SpeedrunRow) => row.parameters },
    { title: 'tokens', value: (row: SpeedrunRow) => row.tokens },
    { title: 'seconds', value: (row: SpeedrunRow) => number(row.seconds), isNumeric: true as const },
    { title: 'tokens/s', value: (row: SpeedrunRow) => number(row.tokensPerSecond), isNumeric: true as const },
    {
      title: 'of peak',
      value: (row: SpeedrunRow) => (row.peakShare === null ? '' : `${number(100 * row.peakShare)} %`),
      isNumeric: true as const,
    },
    { title: 'bits per byte', value: (row: SpeedrunRow) => number(row.bitsPerByte, 4), isNumeric: true as const },
  ];
  return [
    table(columns, rows),
    `held out: ${heldOut.bytes} bytes; ${Math.round(seconds)} s in all`,
    ...rows.flatMap(({ model, sample }) => ['', `${model}: ${sample.prompt}|${sample.continuation}`]),
    '',
    `reports: ${rows.map(({ model }) => join(directory, model, 'run/report.html')).join(' ')}`,
    `talk to it: quasar chat --plain ${join(directory, 'quasar')}`,
  ].join('\n');
}
