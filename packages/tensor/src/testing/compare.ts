/** @file How far two results lie apart. */
import type { Case, Contents } from './case.ts';

/**
 * RMS(x - expected) / RMS(expected). Equal non-finite values count as no difference, unequal ones as infinite.
 * Results all smaller than 1e-6 count as equal if their difference is below 1e-6 too.
 */
export function relativeError(x: Exclude<Contents, null>, expected: Exclude<Contents, null>): number {
  let difference = 0;
  let size = 0;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const a = x[i] as number;
    const b = expected[i] as number;
    if (Object.is(a, b)) {
      if (Number.isFinite(b)) size += b ** 2;
      continue;
    }
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.POSITIVE_INFINITY;
    difference += (a - b) ** 2;
    size += b ** 2;
    worst = Math.max(worst, Math.abs(a - b), Math.abs(b));
  }
  return worst < 1e-6 && Math.sqrt(size) < 1e-6 ? 0 : Math.sqrt(difference / Math.max(size, 1e-300));
}

const FORWARD = 2e-6;
const BACKWARD = 1e-5;

/** Relative error that a float32 device may have against the oracle. */
export function toleranceOf({ kernel, tolerance }: Case): number {
  return tolerance ?? (kernel.endsWith('_backward') ? BACKWARD : FORWARD);
}

/** Relative error of each buffer after a call; 0 for scratch and for what was not passed. */
export function errorsOf(one: Case, actual: readonly Contents[], expected: readonly Contents[]): number[] {
  return one.buffers.map((argument, i) => {
    const [x, want] = [actual[i], expected[i]];
    if (argument === null || !x || !want || ('scratch' in argument && argument.scratch)) return 0;
    return relativeError(x, want);
  });
}
