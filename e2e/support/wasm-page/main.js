/** @file What e2e/wasm-browser.test.ts runs in a page: products on the wasm device beside plain loops. */
import { linear, openWasmDevice, Tensor } from '@quasar/tensor/browser';

const numbers = (count, seed) => Float32Array.from({ length: count }, (_, i) => Math.fround(Math.sin(seed + i)));

/** x W^T for x [M, K], W [N, K]: the largest difference from double precision, as a share of the largest value. */
async function productError(device, M, N, K) {
  const x = numbers(M * K, 1);
  const w = numbers(N * K, 2);
  const y = await linear(Tensor.from(device, [M, K], x), Tensor.from(device, [N, K], w)).read();
  let [worst, largest] = [0, 0];
  for (let i = 0; i < M; i++) {
    for (let j = 0; j < N; j++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x[i * K + k] * w[j * K + k];
      worst = Math.max(worst, Math.abs(sum - y[i * N + j]));
      largest = Math.max(largest, Math.abs(sum));
    }
  }
  return worst / largest;
}

window.runProducts = async (threads) => {
  const device = await openWasmDevice({ threads });
  const before = await productError(device, 96, 80, 64);
  while (device.workers < threads - 1) await new Promise((resolve) => setTimeout(resolve, 10));
  const after = await productError(device, 192, 160, 128);
  const { name, isa } = device;
  device.close();
  return { name, isa, threads: device.threads, errors: [before, after] };
};
window.openError = async () =>
  openWasmDevice({ threads: 1 }).then(
    () => null,
    ({ code }) => code,
  );
