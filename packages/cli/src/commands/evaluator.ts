/** @file `quasar evaluator run`: compute what a validator hands out, on this machine or any other. */
import { hostname } from 'node:os';
import type { JobQueue } from '@quasar/store';
import { Command } from 'commander';
import { baseOption, checkpointFolder, teacherOption, weightBytes } from '../assets.ts';
import { contextOf } from '../context.ts';
import { queueAddress, threadsOption } from '../evaluation-options.ts';
import { EXIT } from '../exit-codes.ts';
import { Home } from '../home.ts';
import { type HubFlags, hubOptions, withHubOptions } from '../net-options.ts';
import { walletName, wholeNumber } from '../options.ts';
import { listenForStop, tellSupervisor } from '../service.ts';
import { whenThere } from '../when-there.ts';

interface EvaluatorFlags extends HubFlags {
  store?: string;
  base: string;
  teacher: string;
  threads?: number;
  lease: number;
  name: string;
}

export function evaluator(): Command {
  const run = withHubOptions(new Command('run'))
    .description("Compute a validator's units in a closed process, until stopped. Any number of them share a queue.")
    .option('--store <url>', 'queue of the validator: an SQLite file, or postgres://... (default: the net of the home)')
    .addOption(baseOption())
    .addOption(teacherOption())
    .addOption(threadsOption())
    .option('--lease <seconds>', 'without a sign of life for so long, others take its unit', wholeNumber(1, 3600), 15)
    .option('--name <name>', 'of its download cache; two on one machine need two', walletName, 'evaluator')
    .action(work);
  return new Command('evaluator').description('Measure models for a validator.').addCommand(run);
}

async function work(options: EvaluatorFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const home = new Home(context.home);
  const { createHubClient } = await import('@quasar/hub');
  const { openJobQueue } = await import('@quasar/store');
  const { Cage, isolationText, ModelStore, runEvaluator } = await import('@quasar/subnet');
  const address = options.store === undefined ? home.queueFile : queueAddress(options.store);
  const baseDirectory = checkpointFolder(options.base);
  const models = new ModelStore({
    hub: createHubClient(hubOptions(options, home, options.name, weightBytes(baseDirectory))),
    baseDirectory,
    teacherDirectory: checkpointFolder(options.teacher),
  });
  const stopping = listenForStop();
  const runner = new Cage({ threads: options.threads });
  const done = { name: options.name, host: hostname(), units: 0, failed: 0, wallMs: 0 };
  let queue: JobQueue | null = null;
  try {
    const patient = whenThere((line) => context.note(`${new Date().toISOString()} ${line}`), stopping.signal);
    queue = await patient('the queue', () => openJobQueue(address));
    const isolation = isolationText();
    tellSupervisor({ type: 'ready', facts: { name: options.name } });
    context.note(`evaluator ${options.name}: ${isolation}; Ctrl-C stops it, and another one goes on`);
    await runEvaluator({
      queue,
      runner,
      leaseMs: options.lease * 1000,
      models,
      signal: stopping.signal,
      onUnit({ kind, key, model, wallMs, error }) {
        done.units++;
        done.wallMs += Math.round(wallMs);
        if (error) done.failed++;
        const rows = key.slice(key.lastIndexOf('/') + 1);
        const how = error ? `failed: ${error.message} [${error.code}]` : `${(wallMs / 1000).toFixed(1)} s`;
        context.note(`${new Date().toISOString()} ${kind} of ${model} from row ${rows}: ${how}`);
      },
    });
    context.result(done, `${done.units} units, ${done.failed} of them failed, ${(done.wallMs / 1000).toFixed(1)} s`);
  } catch (error) {
    if (error !== stopping.signal.reason) throw error;
  } finally {
    if (stopping.reason() === 'interrupted') process.exitCode = EXIT.interrupted;
    await runner.close();
    await queue?.close();
    stopping.dispose();
  }
}
