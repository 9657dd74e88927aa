/** @file The wasm device: its bits, its threads, its memory. Parity with the oracle is in parity.test.ts. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DeviceBuffer } from '../../device.ts';
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

describe.skipIf(!wasmAvailable())('wasm memory', () => {
  const outOfMemory = expect.objectContaining({ code: 'tensor.out_of_memory' });
  /** Allocates until nothing is left, and gives what it got. */
  function fill(device: WasmDevice, length: number): DeviceBuffer[] {
    const buffers: DeviceBuffer[] = [];
    for (;;) {
      try {
        buffers.push(device.allocate('float', length));
      } catch (error) {
        expect(error).toEqual(outOfMemory);
        return buffers;
      }
    }
  }

  it('is used to the last block, and again after that', async () => {
    const device = wasmDevice({ threads: 1, pages: 256 });
    const half = 2 ** 18;
    const buffers = fill(device, half);
    expect(buffers.length).toBeGreaterThan(10);
    expect(device.memory?.().usedBytes).toBe(buffers.length * half * 4);
    for (const [i, buffer] of buffers.entries()) device.run('fill', [buffer], [half, i]);
    for (const [i, buffer] of buffers.entries()) expect((await device.read(buffer))[half - 1]).toBe(i);
    for (const buffer of buffers) device.free(buffer);
    expect(device.memory?.().usedBytes).toBe(0);
    expect(device.allocate('float', 4 * half)).toMatchObject({ length: 4 * half });
  });

  it('reaches beyond 2 GiB', async () => {
    const device = wasmDevice({ threads: 1 });
    const large = device.allocate('bf16', 1.25 * 2 ** 30);
    const last = device.allocate('float', 3);
    device.write(last, [1, 2, 3]);
    device.run('axpby', [last, last, null], [3, 2, 0]);
    expect([...(await device.read(last))]).toEqual([2, 4, 6]);
    device.free(large);
  });

  it.each([1, 2])('a kernel of %i threads that finds no working memory ends with an error', (threads) => {
    const device = wasmDevice({ threads, pages: 256 });
    const [a, b, c] = [0, 1, 2].map(() => device.allocate('float', 512 * 512)) as [
      DeviceBuffer,
      DeviceBuffer,
      DeviceBuffer,
    ];
    fill(device, 1024);
    // Transposed operands are packed.
    const product = () => device.run('gemm', [a, b, c], [512, 512, 512, 1, 1, 0, 1, 0, 0, 0]);
    expect(product).toThrow(outOfMemory);
    expect(product).toThrow(outOfMemory);
    device.close();
  });

  it('does not start where the stacks of its threads have no room', () => {
    expect(() => wasmDevice({ threads: 64, pages: 256 })).toThrow(outOfMemory);
  });
});

it.skipIf(!wasmAvailable())('a device whose workers were ended goes on alone', async () => {
  const device = wasmDevice({ threads: 2 });
  await vi.waitUntil(() => device.workers === 1, { timeout: 20_000 });
  device.close();
  const x = device.allocate('float', 100_000);
  device.run('fill', [x], [100_000, 7]);
  expect((await device.read(x)).every((value) => value === 7)).toBe(true);
});

it.skipIf(!wasmAvailable())('a program ends while the workers of its device sleep', async () => {
  const script = `
    const { wasmDevice } = await import(${JSON.stringify(new URL('../../../dist/index.js', import.meta.url).href)});
    const device = wasmDevice({ threads: 3 });
    while (device.workers < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    const x = device.allocate('float', 1e6);
    device.run('fill', [x], [1e6, 1]);
  `;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000 });
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
});
