/** @file Child process: starts a pool, runs a kernel on it, then waits, and prints the share of a core that waiting took. */
import { createRequire } from 'node:module';

const [addon, threads, waitMs] = process.argv.slice(2);
const api = createRequire(import.meta.url)(addon);
const block = new Float64Array(128);
const { kernels } = api.start(Number(threads), 'auto', block);
const count = 2 ** 20;
const pointer = api.alloc(4 * count);
block.set([kernels.indexOf('fill'), 1, 2, pointer, count, 1]);
for (let i = 0; i < 20; i++) api.run();
const before = process.cpuUsage();
setTimeout(() => {
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / 1000 / Number(waitMs));
}, Number(waitMs));
