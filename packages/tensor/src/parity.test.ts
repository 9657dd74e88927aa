/** @file Every kernel of the native and wasm devices (float32) against the oracle (float64), on the same inputs. */
import { describe, expect, it } from 'vitest';
import { nativeAvailable, nativeDevice } from './devices/native.ts';
import { referenceDevice } from './devices/reference/device.ts';
import { wasmAvailable, wasmDevice } from './devices/wasm/node.ts';
import { KERNEL_NAMES } from './kernels.ts';
import { runCase } from './testing/case.ts';
import { CASE_GROUPS } from './testing/cases/index.ts';
import { errorsOf, relativeError, toleranceOf } from './testing/compare.ts';

const groups = await Promise.all(
  Object.entries(CASE_GROUPS).map(async ([name, make]) => ({ name, cases: await make() })),
);

it('has a case for every kernel', () => {
  const covered = new Set(groups.flatMap(({ cases }) => cases.map((one) => one.kernel)));
  expect(KERNEL_NAMES.filter((name) => !covered.has(name))).toEqual([]);
});

const DEVICES = {
  ...(nativeAvailable() && { native: () => nativeDevice() }),
  ...(wasmAvailable() && {
    wasm: () => wasmDevice({ threads: 2 }),
    'wasm without relaxed SIMD': () => wasmDevice({ threads: 1, relaxed: false }),
  }),
};
/** Products that are rounded before they are added lose a little more than fused ones. */
const UNFUSED = 4;

const runs = Object.entries(DEVICES).flatMap(([name, open]) => {
  const device = open();
  const slack = device.isa === 'simd128' ? UNFUSED : 1;
  return groups.map((group) => ({ device, slack, ...group, name: `${name}: ${group.name}` }));
});

describe.each(runs)('$name', ({ device, slack, cases }) => {
  const oracle = referenceDevice({ precision: 'f64' });
  it.each(cases)('$name', async (one) => {
    const actual = await runCase(device, one);
    const expected = await runCase(oracle, one);
    const errors = errorsOf(one, actual, expected);
    expect(Math.max(...errors), `relative error per buffer: ${errors}`).toBeLessThanOrEqual(slack * toleranceOf(one));
    one.buffers.forEach((argument, i) => {
      if (argument instanceof Float64Array || argument instanceof Int32Array) {
        expect(relativeError(actual[i] as Float32Array, argument), `input ${i} was written`).toBe(0);
      }
    });
  });
});
