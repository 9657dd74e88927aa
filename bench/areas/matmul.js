/** @file Matrix products: squares, the shapes of training and decoding, many small ones. A product counts 2 M N K FLOP. */
import { filled } from '../inputs.js';

export const title = 'Matrix products';

const SQUARES = [512, 1024, 2048];
/** name, M, N, K, transA, transB: as `linear` and its backward pass ask for them. */
const TRAINING = [
  ['projection, mini', 4096, 256, 256, 0, 1],
  ['its input gradient', 4096, 256, 256, 0, 0],
  ['its weight gradient', 256, 256, 4096, 1, 0],
  ['head, mini', 4096, 4096, 256, 0, 1],
  ['decode, 120 rows', 120, 512, 512, 0, 1],
  ['decode, 8 rows', 8, 512, 512, 0, 1],
];

export async function run({ device, measure, isQuick }) {
  const squares = (isQuick ? [48] : SQUARES).map((n) => ['square', n, n, n, 0, 0]);
  for (const [name, M, N, K, transA, transB] of [...squares, ...(isQuick ? [] : TRAINING)]) {
    const request = { case: 'gemm', M, N, K, transA, transB };
    const isSquare = name === 'square';
    const matrices = [M * K, K * N, M * N].map((size) => filled(device, [size]));
    await measure({
      name,
      shape: `${M}x${N}x${K}`,
      unit: 'GFLOP/s',
      work: 2 * M * N * K,
      bound: 'gflops',
      inputs: matrices,
      ours: () => product(device, matrices, [M, N, K, transA, transB, 0, 1, 0, 0, 0]),
      peers: { openblas: { process: 'openblas', ...request }, torch: { process: 'torch', ...request } },
      goals: isSquare ? [{ peer: 'openblas', ratio: 0.95 }] : [],
    });
  }
  const [batches, M, N, K] = isQuick ? [4, 16, 16, 16] : [128, 64, 64, 128];
  const request = { case: 'batched', batches, M, N, K };
  const matrices = [M * K, K * N, M * N].map((size) => filled(device, [batches * size]));
  await measure({
    name: 'many small',
    shape: `${batches} of ${M}x${N}x${K}`,
    unit: 'GFLOP/s',
    work: 2 * batches * M * N * K,
    bound: 'gflops',
    inputs: matrices,
    ours: () => product(device, matrices, [M, N, K, 0, 0, 0, batches, M * K, K * N, M * N]),
    peers: { libxsmm: { process: 'libxsmm', ...request }, torch: { process: 'torch', ...request } },
    goals: [{ peer: 'libxsmm', ratio: 1 }],
  });
}

function product(device, [a, b, c], numbers) {
  device.run('gemm', [a.buffer, b.buffer, c.buffer], numbers);
}
