/** @file `quasar graft`: Quasar branches upon a model that stays as it is. */
import { QuasarError } from '@quasar/base';
import { Command, Option } from 'commander';
import { contextOf, fromCaller } from '../context.ts';
import { type LongFlags, listOfWholeNumbers, longOptions, recallTable, withLongOptions } from '../long-options.ts';
import { wholeNumber } from '../options.ts';
import { runTraining, stageOptions, type TrainingOptions, withTrainingOptions } from '../training-run.ts';

interface GraftFlags extends TrainingOptions, LongFlags {
  base: string;
  layers?: number[];
  from?: string;
  objective: 'cross_entropy' | 'mimic';
  heads: number;
  headDim: number;
  conv: number;
}

export function graft(): Command {
  return withLongOptions(
    withTrainingOptions(
      new Command('graft')
        .description('Train Quasar branches upon a frozen model on long documents; the branches alone are written.')
        .requiredOption('--base <folder>', 'checkpoint to graft upon, which stays as it is')
        .option('--layers <numbers>', 'layers that get a fresh branch, from 0: 1,3', listOfWholeNumbers(0))
        .option('--from <folder>', 'branches upon this base to go on from, in the place of fresh ones')
        .addOption(
          new Option('--objective <name>', 'next tokens, or first what the attention beside a branch gives')
            .choices(['cross_entropy', 'mimic'])
            .default('cross_entropy'),
        )
        .option('--heads <number>', 'heads of a branch', wholeNumber(1), 2)
        .option('--head-dim <number>', 'channels of a head, a multiple of 16', wholeNumber(16), 64)
        .option('--conv <number>', 'width of the short convolution of a branch; 0: none', wholeNumber(0), 4),
    ),
  ).action(async (options: GraftFlags, command: Command) => {
    const stages = await import('@quasar/train');
    const { layers, from, objective, heads, headDim: head_dim, conv: conv_size } = options;
    if ((layers === undefined) === (from === undefined)) {
      throw new QuasarError('usage.invalid_argument', 'graft: give --layers for fresh branches, or --from to go on');
    }
    const branches = layers ? { layers, heads, head_dim, conv_size } : fromCaller(from as string);
    const context = contextOf(command);
    const given = await stageOptions(context, options);
    await runTraining(
      context,
      options,
      (hooks) =>
        stages.graft({
          ...{ ...given, ...longOptions(options), ...hooks },
          base: fromCaller(options.base),
          branches,
          objective,
        }),
      (result) => `${recallTable(result)}\n\nbase weights as before: sha256 ${result.baseDigest}`,
    );
  });
}
