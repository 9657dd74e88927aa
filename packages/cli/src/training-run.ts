/** @file What `pretrain` and `distill` share: common options, a progress bar, Ctrl-C that saves, the table of losses. */
import { QuasarError } from '@quasar/base';
import type { Evaluation, FlagValues, Incident, RunEvent, TrainSettings } from '@quasar/train';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Context, fromCaller } from './context.ts';
import { type DataFlags, readSpecs, stageData, withDataOptions } from './data-options.ts';
import { EXIT } from './exit-codes.ts';
import { Home } from './home.ts';
import { wholeNumber } from './options.ts';
import { listenForStop } from './service.ts';
import { lossTable } from './ui/loss-table.ts';
import { startTrainingProgress } from './ui/training-progress.ts';

export interface TrainingOptions extends DataFlags {
  out: string;
  steps: number;
  seed: string;
  rows?: number;
  tokens?: number;
  accumulate: number;
  learningRate?: number;
  schedule?: 'wsd' | 'cosine';
  optimizer?: 'adamw' | 'muon';
  average?: number;
  saveEvery?: number;
  evaluateEvery?: number;
  recompute?: true;
  workers: number;
}

/** What is not given is for the stage to say, or for the dial of `pretrain --depth`. */
export function withTrainingOptions(command: Command): Command {
  return withDataOptions(command, 'what to train on (default: world)')
    .requiredOption('--out <folder>', 'where the checkpoint goes; run again with the same flags to resume')
    .requiredOption('--steps <number>', 'optimizer steps', wholeNumber(1))
    .option('--seed <text>', 'equal seeds give equal models', '0')
    .option('--rows <number>', 'rows of a batch (most stages: 8)', wholeNumber(1))
    .option('--tokens <number>', 'tokens of a row (most stages: 256)', wholeNumber(2))
    .option('--accumulate <number>', 'batches of an optimizer step, one after the other in memory', wholeNumber(1), 1)
    .option('--learning-rate <number>', 'peak learning rate', share)
    .addOption(
      new Option('--schedule <name>', 'constant with a linear decay at the end, or half a cosine').choices([
        'wsd',
        'cosine',
      ]),
    )
    .addOption(
      new Option('--optimizer <name>', 'what moves hidden matrices; all else is moved by AdamW').choices([
        'adamw',
        'muon',
      ]),
    )
    .option('--average <decay>', 'keep a moving average of the weights, such as 0.99', share)
    .option('--save-every <number>', 'steps between resume points (default: 50)', wholeNumber(1))
    .option('--evaluate-every <number>', 'steps between held-out losses; 0: start and end (default: 0)', wholeNumber(0))
    .option('--recompute', 'less memory for a third more time; changes no bit')
    .option(
      '--workers <number>',
      'processes that share the batches of --accumulate; changes no bit',
      wholeNumber(1),
      1,
    );
}

function share(text: string): number {
  const value = Number(text);
  if (value > 0 && value < 1) return value;
  throw new InvalidArgumentError('Expected a number above 0 and below 1.');
}

/** What the stages take from the flags, without members that were not given. */
export async function stageOptions(context: Context, options: TrainingOptions) {
  const { rows, tokens, learningRate, schedule, optimizer, average, saveEvery, evaluateEvery } = options;
  const settings: Partial<TrainSettings> = {
    accumulate: options.accumulate,
    ...(rows === undefined ? {} : { B: rows }),
    ...(tokens === undefined ? {} : { T: tokens }),
    ...(learningRate === undefined ? {} : { learningRate }),
    ...(schedule === undefined ? {} : { schedule }),
    ...(optimizer === undefined ? {} : { matrices: optimizer }),
    ...(average === undefined ? {} : { averageDecay: average }),
    ...(saveEvery === undefined ? {} : { saveEvery }),
    ...(evaluateEvery === undefined ? {} : { evaluateEvery }),
  };
  return {
    directory: fromCaller(options.out),
    steps: options.steps,
    seed: options.seed,
    data: options.data && (await stageData(context, await readSpecs(options.data), options)),
    settings,
    recompute: options.recompute,
    workers: options.workers,
  };
}

/** Stopped by the user: there is something to go on from. */
export const CANCELLED = new Set(['train.cancelled', 'data.cancelled', 'hub.cancelled']);

interface StageHooks {
  onIncident(incident: Incident): void;
  onEvent(event: RunEvent): void;
  flags: FlagValues;
  signal: AbortSignal;
}

function tell(context: Context, incident: Incident): void {
  if (incident.kind === 'save_failed')
    context.note(`quasar: could not save at step ${incident.step}: ${incident.error.message}; the run goes on`);
  if (incident.kind === 'skipped_step') context.note(`quasar: step ${incident.step} was left out: ${incident.why}`);
  if (incident.kind === 'rolled_back')
    context.note(`quasar: back from step ${incident.step} to ${incident.toStep}: ${incident.why}`);
}

/**
 * Runs a stage with progress on stderr; on Ctrl-C the resume point is saved and the exit code is 130.
 * @param describe what there is to say of the result beside its losses
 */
export async function runTraining<R extends { evaluations: Evaluation[] }>(
  context: Context,
  options: TrainingOptions,
  stage: (hooks: StageHooks) => Promise<R>,
  describe?: (result: R) => string,
): Promise<void> {
  const { workers, accumulate } = options;
  if (workers > accumulate)
    context.note(`quasar: ${accumulate} of ${workers} workers have work: a step has --accumulate ${accumulate}`);
  const stopping = listenForStop();
  const { deviceReport } = await import('@quasar/tensor');
  const { device, threads } = deviceReport();
  const progress = startTrainingProgress(context, `${device}, ${threads} threads`);
  try {
    const result = await stage({
      signal: stopping.signal,
      flags: context.flags(),
      onIncident: (incident) => tell(context, incident),
      onEvent(event) {
        if (event.type === 'started') void remember(context, options.out);
        progress.show(event);
      },
    });
    progress.end();
    const checkpoint = fromCaller(options.out);
    context.result({ checkpoint, ...result }, () =>
      [lossTable(result.evaluations), ...(describe ? [describe(result)] : []), `checkpoint: ${checkpoint}`].join(
        '\n\n',
      ),
    );
  } catch (error) {
    progress.end();
    if (!(error instanceof QuasarError) || !CANCELLED.has(error.code)) throw error;
    context.note(`quasar: ${error.message}; ${error.hint ?? ''}`);
    process.exitCode = EXIT.interrupted;
  } finally {
    stopping.dispose();
  }
}

/** For `quasar runs`. A home that cannot be written is no reason not to train. */
async function remember(context: Context, out: string): Promise<void> {
  const { registerRun } = await import('@quasar/train');
  try {
    registerRun(new Home(context.home).runsFolder, fromCaller(out));
  } catch (error) {
    context.note(`quasar: \`quasar runs list\` will not know this run: ${(error as Error).message}`);
  }
}
