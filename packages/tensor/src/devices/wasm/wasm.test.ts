/** @file The wasm device: its bits, its threads, its memory. Parity with the oracle is in parity.test.ts. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Case, type Contents, runCase } from '../../testing/case.ts';
import { allCases } from '../../testing/cases/index.ts';
import { nativeAvailable, nativeDevice } from '../native.ts';
import type { WasmDevice } from './device.ts';
import { wasmAvailable, wasmDevice } from './node.ts';

describe.skipIf(!wasmAvailable())('wasm results, bit for bit', () => {
  let cases: Case[];
  let expected: Contents[][];
  const opened: WasmDevice[] = [];

  async function open(options: { threads: number; relaxed?: boolean }): Promise<WasmDevice> {
    const device = wasmDevice(options);
    opened.push(device);
    await vi.waitUntil(() => device.workers === options.threads - 1, { timeout: 20_000 });
    return device;
  }

  /** Names of the cases whose results differ in any bit. NaN has one meaning, not one bit pattern. */
  async function differing(device: WasmDevice, expected: Contents[][]): Promise<string[]> {
    const names: string[] = [];
    for (const [i, one] of cases.entries()) {
      const actual = await runCase(device, one);
      const same = one.buffers.every((argument, j) => {
        if (argument === null || ('scratch' in argument && argument.scratch)) return true;
        const want = expected[i]?.[j] as Float32Array;
        return (actual[j] as Float32Array).every((x, k) => Object.is(x, want[k]));
      });
      if (!same) names.push(one.name);
    }
    return names;
  }

  async function resultsOf(device: Parameters<typeof runCase>[0]): Promise<Contents[][]> {
    const results: Contents[][] = [];
    for (const one of cases) results.push(await runCase(device, one));
    return results;
  }

  beforeAll(async () => {
    cases = await allCases();
    expected = await resultsOf(await open({ threads: 1 }));
  }, 60_000);
  afterAll(() => {
    for (const device of opened) device.close();
  });

  it.each([2, 3])('agree on %i threads', async (threads) => {
    expect(await differing(await open({ threads }), expected)).toEqual([]);
  });

  it('agree on 1 and 2 threads without relaxed SIMD', async () => {
    const plain = await resultsOf(await open({ threads: 1, relaxed: false }));
    expect(await differing(await open({ threads: 2, relaxed: false }), plain)).toEqual([]);
  });

  it.skipIf(!nativeAvailable())('agree with the native device where the multiply-add is fused', async (context) => {
    const device = await open({ threads: 2 });
    if (device.isa !== 'simd128+fma') context.skip('this processor has no fused multiply-add');
    expect(await differing(device, await resultsOf(nativeDevice()))).toEqual([]);
  });
});
