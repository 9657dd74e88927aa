/** @file The command tree: global options and one file per verb. */
import { Command, CommanderError, Option } from 'commander';
import { axes } from './commands/axes.ts';
import { chain } from './commands/chain.ts';
import { chat } from './commands/chat.ts';
import { check } from './commands/check.ts';
import { commitments } from './commands/commitments.ts';
import { data } from './commands/data.ts';
import { distill } from './commands/distill.ts';
import { doctor } from './commands/doctor.ts';
import { drope } from './commands/drope.ts';
import { duel } from './commands/duel.ts';
import { evaluator } from './commands/evaluator.ts';
import { extend } from './commands/extend.ts';
import { graft } from './commands/graft.ts';
import { hub } from './commands/hub.ts';
import { metagraph } from './commands/metagraph.ts';
import { miner } from './commands/miner.ts';
import { model } from './commands/model.ts';
import { pretrain } from './commands/pretrain.ts';
import { register } from './commands/register.ts';
import { runs } from './commands/runs.ts';
import { serve } from './commands/serve.ts';
import { speedrun } from './commands/speedrun.ts';
import { tokenizer } from './commands/tokenizer.ts';
import { traces } from './commands/traces.ts';
import { up } from './commands/up.ts';
import { validator } from './commands/validator.ts';
import { wallet } from './commands/wallet.ts';
import { weights } from './commands/weights.ts';
import { applyConfig } from './config.ts';

/** A fresh tree per call, so that tests never share parsed values. */
export function createProgram(): Command {
  const program = new Command('quasar')
    .description('Train small language models, duel them for a crown, and serve the king.')
    .option('--home <folder>', 'where all state lives (default: .quasar in the repository)')
    .option('--config <file>', 'JSON file with option values per verb; flags given on the line win')
    .addOption(
      new Option('--device <name>', 'what computes (default: QUASAR_DEVICE, else the fastest there is)').choices([
        'auto',
        'native',
        'wasm',
        'reference',
      ]),
    )
    .option('--json', 'print one JSON object as the last line of stdout')
    .option('--quiet', 'no progress on stderr')
    .option('--verbose', 'show the stack of an error')
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError();
  const verbs = [
    ...[up(), doctor(), miner(), check(), axes(), wallet(), validator(), evaluator(), duel(), serve(), chain(), hub()],
    ...[register(), weights(), commitments(), metagraph()],
    ...[
      speedrun(),
      model(),
      data(),
      tokenizer(),
      pretrain(),
      distill(),
      drope(),
      extend(),
      graft(),
      runs(),
      traces(),
      chat(),
    ],
  ];
  for (const verb of verbs) program.addCommand(verb);
  return harden(program);
}

/** Applies to every level: errors are thrown instead of ending the process, and are printed in one place only. */
function harden(command: Command): Command {
  command.exitOverride().configureOutput({ outputError: () => {} });
  command.configureHelp({ showGlobalOptions: true }).allowExcessArguments(false);
  const required = command.options.filter(({ mandatory }) => mandatory);
  for (const option of required) option.makeOptionMandatory(false);
  command.hook('preAction', (_, action) => {
    applyConfig(action);
    // Not before: a required option may stand in the file.
    if (action === command) requireOptions(action, required);
    applyDevice(action);
  });
  for (const child of command.commands) harden(child);
  return command;
}

function requireOptions(action: Command, required: readonly Option[]): void {
  const missing = required.find((option) => action.getOptionValue(option.attributeName()) === undefined);
  if (!missing) return;
  const message = `error: required option '${missing.flags}' not specified`;
  throw new CommanderError(1, 'commander.missingMandatoryOptionValue', message);
}

/** Through the environment, so that it reaches the processes that `up` starts. */
function applyDevice(action: Command): void {
  const { device } = action.optsWithGlobals<{ device?: string }>();
  if (device !== undefined) process.env.QUASAR_DEVICE = device;
}
