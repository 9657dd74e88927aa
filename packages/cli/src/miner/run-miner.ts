/**
 * @file One miner from nothing to a place in the contest: register, distil a student, check, publish, commit.
 *
 * Every step can be repeated. An interrupted training goes on at its resume point, a finished student is not trained
 * again, and a hotkey that has committed is done until it is told to `replace`. Hub and chain are waited for.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { formatIssues, QuasarError } from '@quasar/base';
import type { Chain, Wallet } from '@quasar/chain';
import type { HubClient } from '@quasar/hub';
import { CHECKPOINT_FILES } from '@quasar/model';
import { createModelLock, type SubmitReport, type SubnetConfig, submitModel } from '@quasar/subnet';
import { distil, type Evaluation, type StageData, type StepReport } from '@quasar/train';
import { earlierSubmission, type Submitted } from '../scripted/submit.ts';
import type { WhenThere } from '../when-there.ts';
import { findKing } from './find-king.ts';

export interface MinerOptions {
  chain: Chain;
  hub: HubClient;
  whenThere: WhenThere;
  wallet: Wallet;
  config: SubnetConfig;
  /** `owner/name`. */
  repo: string;
  /** Receives the student; keeps the resume point. */
  folder: string;
  /** What the student starts from: the base student, or the reigning king (the base while nobody reigns). */
  from: 'base' | 'king';
  base: string;
  teacher: string;
  steps: number;
  /** At the peak; default: that of the recipe. */
  learningRate?: number | undefined;
  seed: string;
  data?: StageData | undefined;
  /** Train and submit again although this hotkey has a submission. */
  replace: boolean;
  signal: AbortSignal;
  onStep(report: StepReport): void;
  onEvaluation(evaluation: Evaluation): void;
  onPhase(text: string): void;
}

/** Two thousand tokens a step: enough for a steady gradient, a second or two on two cores. */
const STEP_TOKENS = 2048;
const ROW_TOKENS = 256;

/** @throws miner.rejected when a validator would refuse the student; all reasons are in `data` */
export async function runMiner(options: MinerOptions): Promise<Submitted> {
  const { chain, hub, wallet, config, folder, whenThere } = options;
  // By rules that refuse the base no student of it would pass.
  await createModelLock(options.base, config.limits, config.tolerated);
  const earlier = options.replace
    ? null
    : await whenThere('the chain', () => earlierSubmission(options, config.netuid));
  if (earlier !== null) {
    options.onPhase('has a submission already');
    return earlier;
  }
  const { uid } = await whenThere('the chain', () => chain.register(wallet, config.netuid));
  options.onPhase(`registered as uid ${uid}`);
  const student = join(folder, 'student');
  // The weights are written last, so a folder that has them is a finished student.
  if (!existsSync(join(student, CHECKPOINT_FILES.weights))) await trainStudent(options, student);
  const report = await submit(options, student);
  // What it was compared with. The king that it began with stays: it is held as long as this process lives.
  hub.dropUnused();
  rmSync(folder, { recursive: true, force: true });
  return { repo: report.repo, revision: report.revision as string };
}

async function trainStudent(options: MinerOptions, directory: string): Promise<void> {
  const { chain, hub, config, whenThere } = options;
  const find = () => findKing(chain, hub, config, options.signal);
  const king = options.from === 'king' ? await whenThere('hub and chain', find) : null;
  // Kings of earlier runs, and what these were compared with.
  hub.dropUnused();
  options.onPhase(`distils from ${king === null ? 'the base student' : `the king ${king.repo}`}`);
  const { learningRate, onStep, onEvaluation, signal } = options;
  const rows = rowsOf(config);
  const rate = learningRate === undefined ? {} : { learningRate };
  await distil({
    student: king?.directory ?? options.base,
    teacher: options.teacher,
    directory,
    steps: options.steps,
    seed: options.seed,
    data: options.data,
    // The teacher has never seen the user's text: on it, the text itself is what to learn.
    untaughtData: true,
    settings: { ...rate, ...rows, evaluateEvery: Math.ceil(options.steps / 4), saveEvery: 20 },
    onStep,
    onEvaluation,
    signal,
  });
}

/** A row is as long as what a duel reads, in whole multiples of ROW_TOKENS. */
function rowsOf({ duel }: SubnetConfig): { B: number; T: number } {
  const T = ROW_TOKENS * Math.ceil((duel.maxPromptTokens + duel.continuationTokens) / ROW_TOKENS);
  return { B: Math.max(1, Math.floor(STEP_TOKENS / T)), T };
}

async function submit(options: MinerOptions, directory: string): Promise<SubmitReport> {
  const { chain, hub, wallet, config, repo, base, signal, replace } = options;
  const report = await options.whenThere('hub and chain', async () => {
    // The check takes minutes: nothing is checked again while nobody is there.
    await hub.resolveRevision(repo, 'main', { signal });
    await chain.head();
    return submitModel({
      ...{ chain, hub, wallet, config, repo, directory, signal, baseDirectory: base, replace },
      onStep: ({ name, state, detail }) => options.onPhase(`${name} ${state}: ${detail}`),
    });
  });
  if (report.ok) return report;
  throw new QuasarError('miner.rejected', `a validator would refuse this student: ${formatIssues(report.issues)}`, {
    hint: 'nothing was put on chain',
    data: report.issues,
  });
}
