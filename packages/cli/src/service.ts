/**
 * @file How a long-running verb lives: it says when it is ready and ends when it is told to.
 *
 * Alone in a terminal it ends on Ctrl-C or SIGTERM. Under a supervisor (an IPC channel is open) it ends on a `stop`
 * message, on SIGTERM, or when the channel closes because the supervisor is gone, however it died. Ctrl-C reaches the
 * whole process group, so a supervised child ignores it and leaves the order of stopping to the supervisor.
 */
import { EXIT } from './exit-codes.ts';
import type { ReportedError } from './report-error.ts';

/** What a child tells its supervisor. `facts` differ by verb: a port, a phase, a loss. */
export type ChildMessage =
  | { type: 'ready'; facts: Record<string, unknown> }
  | { type: 'progress'; facts: Record<string, unknown> }
  | { type: 'error'; error: ReportedError };

export const STOP_MESSAGE = 'stop';

export function isSupervised(): boolean {
  return process.send !== undefined;
}

export function tellSupervisor(message: ChildMessage): void {
  if (process.connected) process.send?.(message);
}

export interface Stopping {
  signal: AbortSignal;
  /** Why it ended: an interrupted verb exits with 130, one that its supervisor ended with 0. */
  reason(): 'interrupted' | 'supervisor' | null;
  dispose(): void;
}

/** A signal that aborts when this process should end. A second Ctrl-C ends it at once. */
export function listenForStop(): Stopping {
  const controller = new AbortController();
  const supervised = isSupervised();
  let why: 'interrupted' | 'supervisor' | null = null;
  const stop = (reason: 'interrupted' | 'supervisor') => {
    why ??= reason;
    controller.abort();
  };
  const onInterrupt = () => {
    if (supervised) return;
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    stop('interrupted');
  };
  const onTerminate = () => stop(supervised ? 'supervisor' : 'interrupted');
  const onDisconnect = () => stop('supervisor');
  const onMessage = (message: unknown) => {
    if (message === STOP_MESSAGE) stop('supervisor');
  };
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
  if (supervised) process.on('disconnect', onDisconnect).on('message', onMessage);
  return {
    signal: controller.signal,
    reason: () => why,
    dispose() {
      process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate);
      process.off('disconnect', onDisconnect).off('message', onMessage);
      // An open channel would keep a finished child alive.
      if (process.connected) process.disconnect();
    },
  };
}

/** Runs a service: `start` returns its facts and how to close it; this waits for the stop and closes. */
export async function runService(
  start: (signal: AbortSignal) => Promise<{ facts: Record<string, unknown>; close(): Promise<void> | void }>,
  announce: (facts: Record<string, unknown>) => void,
): Promise<void> {
  const stopping = listenForStop();
  try {
    const service = await start(stopping.signal);
    tellSupervisor({ type: 'ready', facts: service.facts });
    if (!isSupervised()) announce(service.facts);
    await aborted(stopping.signal);
    await service.close();
    if (stopping.reason() === 'interrupted') process.exitCode = EXIT.interrupted;
  } finally {
    stopping.dispose();
  }
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
