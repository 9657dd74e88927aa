/** @file Matrix products of the wasm device in Node, on the threads that the native device has. The peak is the native one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { wasmAvailable, wasmDevice } from '@quasar/tensor';
import { filled } from '../inputs.js';

export const title = 'WebAssembly';

const SQUARES = [512, 1024, 2048];
const GOAL_GFLOPS = 60;

export async function run({ device: native, measure, isQuick }) {
  if (!wasmAvailable()) throw new Error('bench: wasm: compile it first: node packages/tensor/scripts/build-wasm.js');
  const device = wasmDevice({ threads: native.threads });
  while (device.workers < device.threads - 1) await sleep(10);
  for (const n of isQuick ? [48] : SQUARES) {
    const [a, b, c] = [1, 2, 3].map((seed) => filled(device, [n, n], { seed }));
    await measure(
      {
        name: `square, ${device.isa}`,
        shape: `${n}x${n}x${n}`,
        unit: 'GFLOP/s',
        work: 2 * n ** 3,
        bound: 'gflops',
        ours: () => device.run('gemm', [a.buffer, b.buffer, c.buffer], [n, n, n, 0, 0, 0, 1, 0, 0, 0]),
        peers: { tfjs: { process: 'tfjs', case: 'gemm', M: n, N: n, K: n, transA: 0, transB: 0 } },
        goals: [{ value: GOAL_GFLOPS }],
      },
      device,
    );
    for (const t of [a, b, c]) t.dispose();
  }
  device.close();
}
