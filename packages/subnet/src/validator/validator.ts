/**
 * @file The validator daemon: follows the chain, plays rounds, keeps the weights.
 *
 * Its only memory is the contest log. Killed at any point and started again, it finishes the open round without
 * judging anybody twice. Borders that fail are tried again; they move neither crown nor weights (docs/validator.md).
 */
import { durationText, pauseMs, QuasarError, type WaitOptions } from '@quasar/base';
import { Evaluation } from '../evaluation/evaluation.ts';
import { nextRound, roundAt } from '../rules/round.ts';
import { look, pause, sleep } from './blocks.ts';
import { Context, type ValidatorOptions } from './context.ts';
import { openRound } from './open-round.ts';
import { playRound } from './play-round.ts';
import { syncSubmissions } from './sync-submissions.ts';
import { VERSION } from './version.ts';
import { isWeather } from './weather.ts';

/** An error that is nobody's weather is a bug; after so many in a row the operator has to see it. */
const MAX_UNEXPECTED = 5;

/**
 * Run until `signal` aborts.
 * @throws QuasarError `subnet.bad_base`, `subnet.bad_teacher`, `validator.not_registered`, `store.*` that time does not
 *   heal, or the last of several unexpected errors in a row
 */
export async function runValidator(options: ValidatorOptions): Promise<void> {
  const evaluation = await openEvaluation(options);
  if (!evaluation) return;
  try {
    await follow(await Context.open(options, evaluation));
  } finally {
    await evaluation.close();
  }
}

/** As soon as its queue is there. Null: stopped before. */
async function openEvaluation(options: ValidatorOptions): Promise<Evaluation | null> {
  const { signal, log } = options;
  const waiting: WaitOptions = {
    signal,
    onWait: ({ message, hint, code }) =>
      log?.({ level: 'warn', message: `waiting for the queue: ${message}; ${hint}`, code }),
    onThere: (waitedMs) => log?.({ level: 'info', message: `the queue is there, after ${durationText(waitedMs)}` }),
  };
  try {
    return await Evaluation.open({ ...options, waiting });
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

async function follow(context: Context): Promise<void> {
  const { options } = context;
  const steps: Steps = { isAnnounced: false, idleRound: null };
  let failures = 0;
  let unexpected = 0;
  while (!options.signal.aborted) {
    try {
      await step(context, steps);
      if (failures > 0) context.log('going on');
      failures = 0;
      unexpected = 0;
    } catch (error) {
      if (options.signal.aborted) return;
      const isFatal = error instanceof QuasarError && error.retry !== 'later' && FATAL.test(error.code);
      if (!isWeather(error)) unexpected++;
      if (isFatal || unexpected >= MAX_UNEXPECTED) throw error;
      const waitMs = pauseMs(failures++);
      const code = error instanceof QuasarError ? error.code : undefined;
      context.log(`${String(error)}; trying again in ${waitMs} ms`, 'warn', code);
      await sleep(waitMs, options.signal).catch(() => {});
    }
  }
}

const FATAL = /^(store\.|validator\.not_registered$)/;

interface Steps {
  isAnnounced: boolean;
  /** The last round that had nobody in it: it left no trace in the log. */
  idleRound: number | null;
}

/** One look at the chain and whatever it asks for. */
async function step(context: Context, steps: Steps): Promise<void> {
  context.catchUp();
  const head = await look(context);
  if (!steps.isAnnounced) announce(context);
  steps.isAnnounced = true;
  await syncSubmissions(context);
  await context.weights.reconcile();
  const open = context.contest.openRound;
  if (open) {
    await playRound(context, open);
    await context.evaluation.forgetRounds(context.options.wallet.hotkey);
    context.evidence.prune();
    return;
  }
  const last = Math.max(steps.idleRound ?? 0, context.contest.lastRound ?? 0);
  const next = nextRound(head.number, last, context.config.round);
  if ('start' in next) {
    if (!(await openRound(context, next.start))) steps.idleRound = next.start.round;
  } else {
    await pause(context);
  }
}

function announce(context: Context): void {
  const { config, configHash, atBlock, options, evaluation } = context;
  context.append({
    type: 'validator.started',
    data: {
      ...{ round: roundAt(atBlock, config.round), atBlock, version: VERSION, node: process.version },
      ...{ configHash, rulesVersion: config.rulesVersion, hotkey: options.wallet.hotkey },
      ...{ isolation: evaluation.isolation, cache: options.cache },
    },
  });
}
