/** @file The profile: what it counts, and that watching changes no result. */
import { expect, it } from 'vitest';
import { recordCommands } from './commands.ts';
import { costOf } from './costs.ts';
import { referenceDevice } from './devices/reference/device.ts';
import { expertLinear, linear, scale } from './ops/index.ts';
import { Profile } from './profile.ts';
import { Tensor } from './tensor.ts';
import { countingDevice } from './testing/counting.ts';

const PEAK = { gflops: 100, readGBs: 10, copyGBs: 12 };

it('counts calls, operations and bytes, also of replayed commands', async () => {
  const profile = new Profile();
  const device = profile.watch(referenceDevice({ precision: 'f32' }));
  const x = Tensor.filled(device, [3, 4], 1);
  const w = Tensor.filled(device, [5, 4], 2);
  const list = recordCommands(device, () => ({ value: linear(x, w) }));
  list.run();
  expect([...(await list.value.read())]).toEqual(new Array(15).fill(8));
  const [head, ...rows] = profile.table(PEAK).split('\n');
  expect(head).toMatch(/^kernel +calls +ms +share +GFLOP\/s +GB\/s +of peak$/);
  const cells = (name: string) => rows.find((row) => row.startsWith(name))?.split(/ {2,}/) ?? [];
  expect(cells('gemm')[1]).toBe('2');
  expect(cells('fill')[1]).toBe('2');
  expect(cells('fill')[4]).toBe('-');
  expect(cells('gemm')[6]).toMatch(/%.*(fma|mem)/);
  expect(rows.join('\n')).toContain('peak 100 GFLOP/s, read 10.0 GB/s, copy 12.0 GB/s');
});

it('a call costs what it computes and the operands it touches', () => {
  const device = countingDevice();
  const costs: { flops: number | null; bytes: number }[] = [];
  const { run } = device;
  device.run = (kernel, buffers, numbers) => {
    costs.push(costOf(kernel, buffers, numbers));
    run.call(device, kernel, buffers, numbers);
  };
  const zeros = (...shape: number[]) => Tensor.from(device, shape, new Float64Array(shape.reduce((a, b) => a * b, 1)));
  const ints = (...values: number[]) => Tensor.from(device, [values.length], values, 'int');
  linear(zeros(3, 4), zeros(5, 4));
  expect(costs.pop()).toEqual({ flops: 2 * 3 * 4 * 5, bytes: 4 * (12 + 20 + 15) });
  scale(zeros(10), 2);
  expect(costs.pop()).toEqual({ flops: null, bytes: 4 * 20 });
  // Two rows of a bf16 table of 100 rows.
  const table = Tensor.from(device, [100, 8], new Float64Array(800), 'bf16');
  device.run('embedding', [zeros(2, 8).buffer, table.buffer, ints(4, 4).buffer], [2, 8, 100, 1]);
  expect(costs.pop()).toEqual({ flops: null, bytes: 4 * 16 + 2 * 16 + 4 * 2 });
  // Two rows, two of eight experts.
  const offsets = ints(0, 0, 0, 1, 1, 1, 2, 2, 2);
  const routing = { offsets, ids: ints(2, 5), counts: zeros(8) } as Parameters<typeof expertLinear>[2];
  expertLinear(zeros(2, 3), zeros(8, 3, 5), routing);
  expect(costs.pop()).toEqual({ flops: 2 * 2 * 3 * 5, bytes: 4 * (6 + 2 * 15 + 10 + 9) });
});
