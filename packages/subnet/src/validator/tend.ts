/** @file What goes on beside a long round: new commitments are seen, due weights are set and refreshed. */
import { QuasarError } from '@quasar/base';
import { look } from './blocks.ts';
import type { Context } from './context.ts';
import { syncSubmissions } from './sync-submissions.ts';
import { isWeather } from './weather.ts';

/** One look around. A chain that is away is looked for next time. @throws QuasarError `validator.stopped`, and bugs */
export async function tend(context: Context): Promise<void> {
  try {
    await look(context);
    await syncSubmissions(context);
    await context.weights.reconcile();
  } catch (error) {
    if (context.signal.aborted || !isWeather(error)) throw error;
    context.log(`${error}`, 'warn', error instanceof QuasarError ? error.code : undefined);
  }
}
