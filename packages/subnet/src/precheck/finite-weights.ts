/** @file Check: every weight is a finite number of a sane size. NaN makes a KL pass or fail by accident. */
import type { Issue } from '@quasar/base';
import type { TensorScan } from './scan-weights.ts';

/** Trained weights stay below 100; a value this large only serves to overflow what it meets. */
export const MAX_ABS_WEIGHT = 1e4;

export function checkFiniteWeights(scan: ReadonlyMap<string, TensorScan>): Issue[] {
  const issues: Issue[] = [];
  for (const [name, { nonFinite, firstNonFinite, maxAbs }] of scan) {
    const path = `model.safetensors#${name}`;
    if (nonFinite > 0)
      issues.push({
        code: 'precheck.not_finite',
        path,
        message: `${nonFinite} values are NaN or infinite, the first at index ${firstNonFinite}`,
      });
    if (maxAbs > MAX_ABS_WEIGHT)
      issues.push({
        code: 'precheck.huge_values',
        path,
        message: `largest value ${maxAbs.toExponential(2)}, expected at most ${MAX_ABS_WEIGHT}`,
      });
  }
  return issues;
}
