/** @file Several tasks at a time over a list; the first failure stops the others and is waited for. */

/**
 * Runs `task` for 0 .. count - 1, at most `parallel` at a time, in order.
 * @param signal ends the tasks from outside; theirs aborts also when another one fails
 * @throws the first failure, once every task that ran has ended
 */
export async function runParallel(
  count: number,
  parallel: number,
  task: (index: number, signal: AbortSignal) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const failed = new AbortController();
  const both = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  let next = 0;
  const work = async () => {
    for (let i = next++; i < count; i = next++) await task(i, both);
  };
  const workers = Array.from({ length: Math.min(parallel, count) }, work);
  try {
    await Promise.all(workers);
  } catch (error) {
    failed.abort();
    await Promise.allSettled(workers);
    throw error;
  }
}
