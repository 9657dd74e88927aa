/** @file `quasar miner run`: train a student and enter the contest with it. */
import type { Evaluation } from '@quasar/train';
import { Command, InvalidArgumentError, Option } from 'commander';
import { baseOption, teacherOption } from '../assets.ts';
import { contextOf, fromCaller } from '../context.ts';
import { besideWorld, type DataFlags, readSpecs, stageData, withDataOptions } from '../data-options.ts';
import { EXIT } from '../exit-codes.ts';
import { Home } from '../home.ts';
import { hubOptions, type NetOptions, netUrls, withNetOptions } from '../net-options.ts';
import { walletName, wholeNumber } from '../options.ts';
import { readRules, rulesOption, submissionBytes } from '../rules-option.ts';
import { listenForStop, tellSupervisor } from '../service.ts';
import { lossTable } from '../ui/loss-table.ts';
import { startProgress } from '../ui/progress.ts';
import { keysWithoutChain, type WalletOptions, withKeyOptions } from '../wallet-options.ts';
import { whenChainThere, whenThere } from '../when-there.ts';
import { submit } from './miner-submit.ts';
import { broken, copycat } from './scripted.ts';

const DEFAULT_STEPS = 80;

interface MinerFlags extends NetOptions, WalletOptions, DataFlags {
  from: 'base' | 'king';
  steps: number;
  learningRate?: number;
  seed?: string;
  base: string;
  teacher: string;
  rules: string;
  replace?: true;
}

export function miner(): Command {
  return new Command('miner')
    .description('Train students and enter the contest.')
    .addCommand(run())
    .addCommand(submit())
    .addCommand(copycat(), { hidden: true })
    .addCommand(broken(), { hidden: true });
}

function run(): Command {
  return withDataOptions(withKeyOptions(withNetOptions(new Command('run'))), 'what to train on beside the world')
    .description('Distil a student from the teacher, check it, publish it and commit it on chain.')
    .requiredOption('--name <name>', 'name of your wallet and repository', walletName)
    .addOption(new Option('--from <model>', 'what the student starts from').choices(['base', 'king']).default('base'))
    .option('--steps <number>', 'optimizer steps', wholeNumber(1), DEFAULT_STEPS)
    .option('--learning-rate <number>', 'peak learning rate (default: that of distill, 0.005)', rate)
    .option('--seed <text>', 'of the training (default: the name)')
    .addOption(baseOption())
    .addOption(teacherOption())
    .addOption(rulesOption())
    .option('--replace', 'train and submit again although this name has a submission')
    .action(enter);
}

async function enter(options: MinerFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const home = new Home(context.home);
  const { connectChain } = await import('@quasar/chain');
  const { createHubClient } = await import('@quasar/hub');
  const { runMiner } = await import('../miner/run-miner.ts');
  const { checkData } = await import('@quasar/train');
  const specs = await readSpecs(options.data ?? []);
  await checkData(specs, { textField: options.textField });
  const data = specs.length === 0 ? undefined : await stageData(context, besideWorld(specs), options);
  const urls = netUrls(options, home);
  const config = await readRules(options.rules);
  const chain = connectChain(urls.chain);
  const hub = createHubClient(hubOptions(options, home, options.name, submissionBytes(config)));
  const repo = `${options.name}/quasar-nano`;
  const keys = await keysWithoutChain(options, context, home);
  const wallet = await keys.openHotkey();
  const stopping = listenForStop();
  const progress = startProgress(context, `${options.name}: training`);
  const training: Evaluation[] = [];
  const tell = (facts: Record<string, unknown>) => tellSupervisor({ type: 'progress', facts });
  const say = (text: string) => {
    progress.end();
    context.note(`${options.name}: ${text}`);
    tell({ text });
  };
  try {
    const { signal } = stopping;
    const patient = whenThere(say, signal);
    // Before hours of training.
    await whenChainThere(urls.chain, (asked) => asked.head(), patient);
    await patient(`the hub at ${urls.hub}`, () => hub.resolveRevision(repo, 'main', { signal }));
    const submitted = await runMiner({
      chain,
      hub,
      whenThere: patient,
      wallet,
      config,
      repo,
      folder: home.minerFolder(options.name),
      from: options.from,
      base: fromCaller(options.base),
      teacher: fromCaller(options.teacher),
      steps: options.steps,
      learningRate: options.learningRate,
      seed: options.seed ?? options.name,
      data,
      replace: options.replace === true,
      signal,
      onStep({ step, steps, metrics, etaMs }) {
        const losses = Object.entries(metrics).map(([name, value]) => `${name} ${value.toFixed(3)}`);
        const text = [...losses, `${Math.ceil(etaMs / 1000)} s left`].join('  ');
        progress.update(step, steps, text);
        tell({ text: `step ${step} of ${steps}  ${text}` });
      },
      onEvaluation(evaluation) {
        training.push(evaluation);
        tell({ evaluation });
      },
      onPhase: say,
    });
    context.result({ ...submitted, training }, () =>
      [
        ...(training.length > 0 ? [lossTable(training), ''] : []),
        `submitted ${submitted.repo}@${submitted.revision}`,
      ].join('\n'),
    );
  } catch (error) {
    progress.end();
    if (!stopping.signal.aborted) throw error;
    process.exitCode = EXIT.interrupted;
  } finally {
    await chain.close();
    await keys.close();
    stopping.dispose();
  }
}

function rate(text: string): number {
  const value = Number(text);
  if (value > 0 && value < 1) return value;
  throw new InvalidArgumentError('Expected a number above 0 and below 1.');
}
