/** @file A border whose calls end when the validator is stopped, however long the other side stays silent. */
import { throwIfStopped, untilStopped } from './blocks.ts';

/**
 * The same port; a call that waits when `signal` aborts fails with `validator.stopped`. What it asked for may still
 * happen, as after a crash: whoever starts next reads it from the chain.
 */
export function stoppable<T extends object>(port: T, signal: AbortSignal): T {
  return new Proxy(port, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        throwIfStopped(signal);
        const answer: unknown = member.apply(target, args);
        return answer instanceof Promise ? untilStopped(answer, signal) : answer;
      };
    },
  });
}
