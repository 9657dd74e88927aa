/**
 * @file `npm test [-- --slow] [-- vitest arguments]`: bootstrap, then all tests; the last line is `N passed, M failed`.
 *
 * The count comes from vitest's JSON report. A file that does not load counts as one failure, and so does a run that
 * ends badly without a failed test (an unhandled error), so "0 failed" always means a green run.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootstrapOrExit, root } from './bootstrap.js';

await bootstrapOrExit();
const passOn = process.argv.slice(2).filter((argument) => argument !== '--slow');
const projects = process.argv.includes('--slow') ? ['unit', 'net', 'e2e', 'slow'] : ['unit', 'net', 'e2e'];
const directory = mkdtempSync(join(tmpdir(), 'quasar-test-'));
const report = join(directory, 'report.json');

const { status } = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    ...projects.flatMap((name) => ['--project', name]),
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...passOn,
  ],
  { cwd: root, stdio: 'inherit' },
);

const { passed, failed } = count(report);
rmSync(directory, { recursive: true, force: true });
console.log(`${passed} passed, ${status === 0 ? failed : Math.max(failed, 1)} failed`);
process.exitCode = status === 0 && failed === 0 ? 0 : 1;

function count(path) {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(path, 'utf8'));
    const unloadable = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
    return { passed: numPassedTests, failed: numFailedTests + unloadable.length };
  } catch {
    return { passed: 0, failed: 1 };
  }
}
