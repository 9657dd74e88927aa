/**
 * @file Ctrl-C for a supervisor: the first one asks for a clean stop, a later one kills.
 *
 * npm forwards Ctrl-C to the script that it runs, and the terminal sends it to the whole process group as well: one
 * key press arrives twice. So only an interrupt at least `AGAIN_MS` after the first counts as the second.
 */
const AGAIN_MS = 500;

export interface Interrupts {
  signal: AbortSignal;
  dispose(): void;
}

export function listenForInterrupts(onSecond: () => void): Interrupts {
  const controller = new AbortController();
  let firstMs = 0;
  const onSignal = () => {
    const nowMs = performance.now();
    if (!controller.signal.aborted) {
      firstMs = nowMs;
      controller.abort();
    } else if (nowMs - firstMs >= AGAIN_MS) {
      onSecond();
    }
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal);
  return {
    signal: controller.signal,
    dispose() {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('SIGHUP', onSignal);
    },
  };
}
