/**
 * @file `npm run sanitize`: all kernel cases under the address and undefined-behaviour sanitizers (plain and the widest
 * instruction set) and under the thread sanitizer, on memory of exactly the size that the caller passes, scratch too.
 * Fresh memory holds NaN and results are compared with the oracle, so reading what nothing wrote fails as well.
 * Exit code 1 on any report.
 */
import { referenceDevice } from '../dist/index.js';
import { runCase } from '../dist/testing/case.js';
import { allCases } from '../dist/testing/cases/index.js';
import { errorsOf, toleranceOf } from '../dist/testing/compare.js';
import { buildRunner, runSanitized } from './sanitize/sanitized.js';

const cases = await allCases();
const oracle = referenceDevice({ precision: 'f64' });
const expected = [];
for (const one of cases) expected.push(await runCase(oracle, one));

for (const [sanitizer, isas] of [
  ['address,undefined', ['plain', 'wide']],
  ['thread', ['wide']],
]) {
  const runner = await buildRunner(sanitizer);
  try {
    for (const isa of isas) {
      const name = `${sanitizer} · ${isa === 'wide' ? runner.wide : isa}`;
      try {
        const results = await runSanitized(runner, cases, { threads: 3, isa });
        const wrong = cases.filter(
          (one, i) => !(Math.max(...errorsOf(one, results[i], expected[i])) <= toleranceOf(one)),
        );
        for (const { name: which } of wrong) console.log(`${name}: ${which}: differs from the oracle`);
        if (wrong.length > 0) process.exitCode = 1;
        else console.log(`${name}: ${cases.length} cases, clean`);
      } catch (error) {
        console.log(`${name}:\n${error.message}`);
        process.exitCode = 1;
      }
    }
  } finally {
    runner.dispose();
  }
}
