/** @file `quasar extend`: longer context, phase by phase, beside short rows. */
import { Command } from 'commander';
import { contextOf, fromCaller } from '../context.ts';
import { type LongFlags, longOptions, recallTable, withLongOptions } from '../long-options.ts';
import { runTraining, stageOptions, type TrainingOptions, withTrainingOptions } from '../training-run.ts';

export function extend(): Command {
  return withLongOptions(
    withTrainingOptions(
      new Command('extend')
        .description('Train a model on long documents with carried states, beside rows as short as before (--tokens).')
        .requiredOption('--model <folder>', 'checkpoint to start from, usually after `quasar drope`'),
    ),
  ).action(async (options: TrainingOptions & LongFlags & { model: string }, command: Command) => {
    const stages = await import('@quasar/train');
    const model = fromCaller(options.model);
    const context = contextOf(command);
    const given = await stageOptions(context, options);
    await runTraining(
      context,
      options,
      (hooks) => stages.extend({ ...given, ...longOptions(options), ...hooks, model }),
      recallTable,
    );
  });
}
