/** @file TensorFlow.js on its WebAssembly backend (SIMD, one thread: its threads need a browser). Protocol: bench/peers.js. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const require = createRequire(join(process.env.QUASAR_PEERS, 'package.json'));
const tf = require('@tensorflow/tfjs-core');
const { version_wasm: version } = require('@tensorflow/tfjs-backend-wasm');
await tf.setBackend('wasm');

const cases = [];
const OPS = {
  info: () => ({ version: `${version}, WebAssembly SIMD, 1 thread` }),
  prepare({ case: name, M, N, K, transA, transB }) {
    if (name !== 'gemm') throw new Error(`tfjs: no case ${name}`);
    const a = tf.randomUniform(transA ? [K, M] : [M, K]);
    const b = tf.randomUniform(transB ? [N, K] : [K, N]);
    return { id: cases.push({ a, b, transA: Boolean(transA), transB: Boolean(transB) }) - 1 };
  },
  time({ id, repeats }) {
    const { a, b, transA, transB } = cases[id];
    const startedAtMs = performance.now();
    for (let i = 0; i < repeats; i++) tf.matMul(a, b, transA, transB).dispose();
    return { seconds: (performance.now() - startedAtMs) / 1000 / repeats };
  },
  drop({ id }) {
    cases[id].a.dispose();
    cases[id].b.dispose();
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = OPS[request.op](request);
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
