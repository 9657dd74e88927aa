/**
 * @file The validator daemon: follows the chain, plays rounds, keeps the weights.
 *
 * Its only memory is the contest log. Killed at any point and started again, it finishes the open round without
 * judging anybody twice. Borders that fail are tried again; they move neither crown nor weights.
 */
import { QuasarError } from '@quasar/base';
import { nextRound } from '../rules/round.ts';
import { look, pause, sleep } from './blocks.ts';
import { Context, type ValidatorOptions } from './context.ts';
import { openRound } from './open-round.ts';
import { playRound } from './play-round.ts';
import { syncSubmissions } from './sync-submissions.ts';
import { WeightSetter } from './weight-setter.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** An error that is nobody's weather is a bug; after so many in a row the operator has to see it. */
const MAX_UNEXPECTED = 5;

/**
 * Run until `signal` aborts.
 * @throws QuasarError `subnet.bad_base`, `subnet.bad_teacher`, `validator.not_registered`, `store.*`, or the last of
 *   several unexpected errors in a row
 */
export async function runValidator(options: ValidatorOptions): Promise<void> {
  const context = await Context.open(options);
  const weights = new WeightSetter(context);
  const steps = { idleRound: context.contest.lastRound };
  let failures = 0;
  while (!options.signal.aborted) {
    try {
      await step(context, weights, steps);
      failures = 0;
    } catch (error) {
      if (options.signal.aborted) return;
      const isExpected = error instanceof QuasarError && error.retry === 'later';
      const isFatal = error instanceof QuasarError && FATAL.test(error.code);
      if (isFatal || (!isExpected && failures + 1 >= MAX_UNEXPECTED)) throw error;
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failures++, LONGEST_PAUSE_MS);
      const code = error instanceof QuasarError ? error.code : undefined;
      context.log(`${String(error)}; trying again in ${pauseMs} ms`, 'warn', code);
      await sleep(pauseMs, options.signal).catch(() => {});
    }
  }
}

const FATAL = /^(store\.|validator\.not_registered$)/;

/** One look at the chain and whatever it asks for. */
async function step(context: Context, weights: WeightSetter, steps: { idleRound: number | null }): Promise<void> {
  const head = await look(context);
  await syncSubmissions(context);
  await weights.reconcile();
  const open = context.contest.openRound;
  if (open) {
    await playRound(context, open);
    steps.idleRound = open.round;
    return;
  }
  const next = nextRound(head.number, steps.idleRound, context.config.round);
  if ('start' in next) {
    if (!(await openRound(context, next.start))) steps.idleRound = next.start.round;
  } else {
    await pause(context);
  }
}
