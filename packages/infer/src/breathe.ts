/** @file Long work lets others in between its blocks, and ends when it is told to. */
import { QuasarError } from '@quasar/base';

/** Lets timers and sockets through. @throws QuasarError infer.cancelled */
export async function breathe(signal?: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  if (signal?.aborted) throw new QuasarError('infer.cancelled', 'generation was cancelled', { retry: 'later' });
}
