/** @file The functions of scalar.h over all 2^32 floats. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from './support/paths.ts';

it('exp, log, tanh, sigmoid and the others are within 2 ulp for every float', async () => {
  const path = join(REPOSITORY, 'packages/tensor/scripts/scalar-error.js');
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, [path], (error, stdout, stderr) => resolve(stdout + stderr + (error?.code ?? '')));
  });
  const rows = output.trim().split('\n').slice(1);
  expect(rows).toHaveLength(9);
  for (const row of rows) expect(row).toMatch(/^\w+ +[01]\.\d+ .* 0$/);
});
