/**
 * @file Child process: runs kernel cases on the compiled addon with a given number of threads and instruction set, in the
 * main thread or in `workers` JavaScript threads at once, `rounds` times, and prints a SHA-256 of each case's results.
 * Standard input: v8-serialised { addon, threads, isa, workers, rounds, cases }.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { deserialize } from 'node:v8';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

function run({ addon, threads, isa, cases }) {
  const api = createRequire(import.meta.url)(addon);
  const block = new Float64Array(64);
  const report = api.start(threads, isa, block);
  const digests = cases.map(({ kernel, buffers, numbers }) => {
    const passed = buffers.map((argument) => {
      if (argument === null) return null;
      const ints = argument instanceof Int32Array || argument.int;
      const type = { bf16: 1, f16: 2 }[argument.type] ?? 0;
      const data = argument.inPlace ?? argument.input ?? argument.output ?? argument;
      const array = ints ? new Int32Array(data) : new Float32Array(data);
      const bytes = Math.max(array.byteLength, 4);
      const pointer = api.alloc(bytes);
      api.write(pointer, array, type);
      return { array, type, pointer, bytes, hashed: !argument.scratch };
    });
    const pointers = passed.map((buffer) => buffer?.pointer ?? 0);
    block.set([report.kernels.indexOf(kernel), pointers.length, numbers.length, ...pointers, ...numbers]);
    api.run();
    const hash = createHash('sha256');
    for (const buffer of passed) {
      if (!buffer) continue;
      api.read(buffer.pointer, buffer.array, buffer.type);
      api.free(buffer.pointer, buffer.bytes);
      if (buffer.hashed) hash.update(buffer.array);
    }
    return hash.digest('hex');
  });
  return { isa: report.isa, threads: report.threads, digests };
}

/** Resolves when the thread has ended, and with it its hold on the addon. */
function runInWorker(job) {
  const worker = new Worker(new URL(import.meta.url), { workerData: job });
  return new Promise((resolve, reject) => {
    let result;
    worker.once('message', (message) => {
      result = message;
    });
    worker.once('error', reject).once('exit', () => resolve(result));
  });
}

if (isMainThread) {
  const job = deserialize(readFileSync(0));
  const results = job.workers === 0 ? [run(job)] : [];
  for (let round = 0; job.workers > 0 && round < job.rounds; round++) {
    results.push(...(await Promise.all(Array.from({ length: job.workers }, () => runInWorker(job)))));
  }
  console.log(JSON.stringify(results));
} else {
  parentPort.postMessage(run(workerData));
}
