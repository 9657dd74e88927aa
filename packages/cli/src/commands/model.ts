/** @file `quasar model info`: the shape and the parameter count of a size we ship, or of a checkpoint folder. */
import { existsSync } from 'node:fs';
import { formatIssues, QuasarError } from '@quasar/base';
import type { QuasarConfig } from '@quasar/model';
import { Command } from 'commander';
import { contextOf, fromCaller } from '../context.ts';
import { record } from '../ui/table.ts';

export function model(): Command {
  const info = new Command('info')
    .description('Show the shape and the parameter count of a model.')
    .argument('<name>', 'a size (nano, tiny, mini, small, 3b) or the folder of a checkpoint')
    .action(async (name: string, _options, command: Command) => {
      const { countParameters, expectedTensors } = await import('@quasar/model');
      const config = await findConfig(name);
      const parameters = countParameters(config);
      const tensors = expectedTensors(config).size;
      const millions = (count: number) => `${(count / 1e6).toFixed(2)} M`;
      contextOf(command).result({ name, parameters, tensors, config }, () =>
        record({
          name,
          parameters: `${millions(parameters.total)}, ${millions(parameters.active)} active per token`,
          tensors: `${tensors}`,
          layers: `${config.n_layers} (${config.quasar_layers} quasar, then ${config.gated_layers} gla, repeated)`,
          width: `${config.d_model}, ${config.n_heads} heads of ${config.head_dim}`,
          experts: `${config.top_k} of ${config.num_routed_experts}, after ${config.dense_input_layers} dense layers`,
          vocabulary: `${config.vocab_size}`,
          context: `${config.max_seq_len}`,
        }),
      );
    });
  return new Command('model').description('Models.').addCommand(info);
}

async function findConfig(name: string): Promise<QuasarConfig> {
  const { readConfig, SIZES } = await import('@quasar/model');
  if (Object.hasOwn(SIZES, name)) return SIZES[name as keyof typeof SIZES];
  const folder = fromCaller(name);
  if (!existsSync(folder)) {
    throw new QuasarError('usage.unknown_model', `no size and no folder is named "${name}"`, {
      hint: `sizes are ${Object.keys(SIZES).join(', ')}`,
    });
  }
  const config = readConfig(folder);
  if (config.ok) return config.value;
  throw new QuasarError('checkpoint.invalid', formatIssues(config.issues), { hint: 'give the folder of a checkpoint' });
}
