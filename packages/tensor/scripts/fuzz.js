/**
 * @file `npm run fuzz -- [--seconds N] [--seed S] [--sanitize]`: random calls of every op, forward and backward, also with
 * shapes and types that do not fit, compared with the reference on the native device; with `--sanitize` also under the
 * address and undefined-behaviour sanitizers. Prints the trial of every failure; the same seed gives the same trials.
 */
import { parseArgs } from 'node:util';
import { nativeDevice } from '../dist/index.js';
import { runCase } from '../dist/testing/case.js';
import { allCases } from '../dist/testing/cases/index.js';
import { differences, fuzzTrial, scratchArguments } from '../dist/testing/fuzz.js';
import { buildRunner, runSanitized } from './sanitize/sanitized.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now()) },
    sanitize: { type: 'boolean', default: false },
  },
});
const native = nativeDevice();
const runner = values.sanitize ? await buildRunner('address,undefined') : null;
const scratch = scratchArguments(await allCases());
const endsAtMs = Date.now() + Number(values.seconds) * 1000;
const counts = { trials: 0, refused: 0, kernels: 0, failures: 0 };

function fail(message) {
  counts.failures++;
  console.log(message);
}

function compare(cases, results, where) {
  cases.forEach((one, i) => {
    const found = differences(one, results[i], scratch);
    if (found) fail(`${one.name}: ${where}: ${found}`);
  });
}

try {
  for (let index = 0; Date.now() < endsAtMs && counts.failures < 20; ) {
    const batch = [];
    for (const end = index + 50; index < end; index++) {
      try {
        const { cases, refused } = fuzzTrial(values.seed, index);
        counts.trials++;
        if (refused) counts.refused++;
        batch.push(...cases);
      } catch (error) {
        fail(error.message);
      }
    }
    counts.kernels += batch.length;
    if (runner) {
      for (const isa of ['plain', 'wide']) {
        try {
          compare(batch, await runSanitized(runner, batch, { threads: 3, isa }), `sanitized ${isa}`);
        } catch (error) {
          fail(error.message);
        }
      }
      if (counts.failures > 0) break; // what a sanitizer reports would corrupt this process
    }
    const results = [];
    for (const one of batch) results.push(await runCase(native, one));
    compare(batch, results, native.isa);
  }
} finally {
  runner?.dispose();
}
console.log(
  `seed ${values.seed}: ${counts.trials} trials (${counts.refused} refused), ${counts.kernels} kernel calls, ${counts.failures} failures`,
);
process.exitCode = counts.failures > 0 ? 1 : 0;
