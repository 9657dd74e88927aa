/**
 * @file Speed of the native matrix product on the shapes of the laptop models, GFLOP/s: best of seven, one and all threads.
 * Run after a build: `node bench/matmul.js`. The load average beside it says how far to trust the figures.
 */
import { loadavg } from 'node:os';
import { nativeDevice, Tensor } from '@quasar/tensor';

const SHAPES = [
  ['projection, nano', 2048, 128, 128, 0, 1],
  ['its input gradient', 2048, 128, 128, 0, 0],
  ['its weight gradient', 128, 128, 2048, 1, 0],
  ['head, nano', 1024, 1024, 128, 0, 1],
  ['projection, tiny', 2048, 192, 192, 0, 1],
  ['decode of 120 rows, tiny', 120, 192, 192, 0, 1],
  ['square', 512, 512, 512, 0, 0],
];

for (const threads of [1, undefined]) {
  const device = nativeDevice({ threads });
  console.log(`${device.isa}, ${device.threads} threads, load ${loadavg()[0].toFixed(1)}`);
  for (const [name, M, N, K, transA, transB] of SHAPES) {
    const [a, b, c] = [M * K, K * N, M * N].map((size) => Tensor.filled(device, [size], 1));
    const numbers = [M, N, K, transA, transB, 0, 1, 0, 0, 0];
    const repeats = Math.max(1, Math.round(2e8 / (M * N * K)));
    let bestMs = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 7; round++) {
      const startedAtMs = performance.now();
      for (let i = 0; i < repeats; i++) device.run('gemm', [a.buffer, b.buffer, c.buffer], numbers);
      bestMs = Math.min(bestMs, (performance.now() - startedAtMs) / repeats);
    }
    console.log(
      `${name.padEnd(26)} ${`${M}x${N}x${K}`.padEnd(14)} ${((2 * M * N * K) / bestMs / 1e6).toFixed(0).padStart(5)}`,
    );
  }
}
