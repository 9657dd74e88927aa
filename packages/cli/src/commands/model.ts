/** @file `quasar model info`: what a size we ship, or a checkpoint, is and costs. Nothing is allocated for it. */
import { Command } from 'commander';
import { contextOf } from '../context.ts';
import { describe } from '../model/describe.ts';
import { findConfig } from '../model/find-config.ts';

export function model(): Command {
  const info = new Command('info')
    .description('Show layers, parameters by part, state, operations and memory of a model.')
    .argument('<name>', 'a size such as nano or 3b, a config.json, or the folder of a checkpoint')
    .action(async (name: string, _options, command: Command) => {
      const { modelInfo } = await import('@quasar/model');
      const config = await findConfig(name);
      const info = modelInfo(config);
      contextOf(command).result({ name, ...info, config }, () => describe(name, info, config.vocab_size));
    });
  return new Command('model').description('Models.').addCommand(info);
}
