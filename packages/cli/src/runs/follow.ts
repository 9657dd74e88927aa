/** @file Watching a run of another process: its newest step again and again, from the end of its events. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KnownRun } from '@quasar/train';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { listenForStop } from '../service.ts';
import { startProgress } from '../ui/progress.ts';
import { stepLine } from '../ui/training-progress.ts';

const POLL_MS = 500;

/** Until the run ends or the caller does. */
export async function follow(context: Context, { name, folder }: KnownRun): Promise<void> {
  const { latestEvents, runState } = await import('@quasar/train');
  const stopping = listenForStop();
  const progress = startProgress(context, name);
  let shown = -1;
  try {
    for (;;) {
      const { step, evaluation, end } = latestEvents(folder.eventsFile);
      if (step && step.step !== shown) {
        shown = step.step;
        progress.update(step.step, step.steps, stepLine(step, evaluation?.heldOut ?? null));
      }
      if (runState(folder, end) !== 'running') return;
      await sleep(POLL_MS, undefined, { signal: stopping.signal });
    }
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    process.exitCode = EXIT.interrupted;
  } finally {
    progress.end();
    stopping.dispose();
  }
}
