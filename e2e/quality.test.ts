/** @file The style check and the types of the tests, as tests: whatever lands has passed both. */
import { expect, it } from 'vitest';
import { run } from './support/run.ts';

it('biome finds nothing', async () => {
  const { code, stdout, stderr } = await run('node_modules/.bin/biome', ['check', '.']);
  expect(`${stdout}${stderr}\nexit code ${code}`).toMatch(/exit code 0$/);
});

it('the tests have the types they claim', async () => {
  const { code, stdout } = await run('node_modules/.bin/tsc', ['-p', 'tsconfig.tests.json']);
  expect(stdout).toBe('');
  expect(code).toBe(0);
});
