/** @file `quasar pretrain`: a fresh model of a named size, on the world and on text of one's own. */
import type { SizeName } from '@quasar/model';
import { Command, Option } from 'commander';
import { contextOf, fromCaller } from '../context.ts';
import { depth } from '../options.ts';
import { runTraining, stageOptions, type TrainingOptions, withTrainingOptions } from '../training-run.ts';

const SIZE_NAMES: readonly SizeName[] = ['nano', 'tiny', 'mini', 'small', 'preview-nano', 'preview-mini', '3b'];

interface PretrainFlags extends TrainingOptions {
  size: SizeName;
  depth?: number;
  tokenizer: string;
  dtype: 'F32' | 'BF16';
}

export function pretrain(): Command {
  const command = withTrainingOptions(
    new Command('pretrain')
      .description('Train a fresh model on the world, or on your own data.')
      .addOption(new Option('--size <name>', 'size of the model').choices(SIZE_NAMES).default('nano'))
      .addOption(
        new Option('--depth <number>', 'one dial in place of --size: batch, learning rate and steps follow from it')
          .argParser(depth)
          .conflicts('size'),
      )
      .requiredOption('--tokenizer <file>', 'tokenizer.json, for example from `quasar tokenizer train`')
      .addOption(
        new Option('--dtype <name>', 'BF16 to publish, F32 to go on training').choices(['BF16', 'F32']).default('BF16'),
      ),
  );
  const stepsFlag = command.options.find(({ long }) => long === '--steps');
  stepsFlag?.makeOptionMandatory(false);
  return command.action(async (options: PretrainFlags, command: Command) => {
    const stages = await import('@quasar/train');
    const { Tokenizer } = await import('@quasar/model');
    const tokenizer = Tokenizer.load(fromCaller(options.tokenizer));
    const context = contextOf(command);
    const dial =
      options.depth === undefined ? null : stages.recipe({ depth: options.depth, vocabSize: tokenizer.vocabSize });
    if (!dial && options.steps === undefined) {
      const message = `error: required option '${stepsFlag?.flags}' not specified`;
      command.error(message, { code: 'commander.missingMandatoryOptionValue' });
    }
    const steps = options.steps ?? (dial?.settings.steps as number);
    const given = await stageOptions(context, { ...options, steps });
    const size = options.depth === undefined ? options.size : { depth: options.depth };
    const { dtype } = options;
    await runTraining(context, options, (hooks) => stages.pretrain({ ...given, ...hooks, size, tokenizer, dtype }));
  });
}
