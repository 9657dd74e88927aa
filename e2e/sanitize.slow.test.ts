/** @file The kernels under sanitizers, and that the sanitizers see what they should. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from './support/paths.ts';

const SCRIPTS = join(REPOSITORY, 'packages/tensor/scripts');

it('all cases are clean under the address, undefined-behaviour and thread sanitizers', async () => {
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, [join(SCRIPTS, 'sanitize.js')], (_, stdout, stderr) => resolve(stdout + stderr));
  });
  expect(
    output
      .trim()
      .split('\n')
      .filter((line) => !/\d cases, clean$/.test(line)),
  ).toEqual([]);
});

it('a buffer that is one element short is reported, with the case', async () => {
  const { buildRunner, runSanitized } = await import(join(SCRIPTS, 'sanitize/sanitized.js'));
  const runner = await buildRunner('address,undefined');
  const multiply = (length: number) => ({
    name: `product of ${length}`,
    kernel: 'multiply',
    buffers: [{ output: 33 }, new Float64Array(33).fill(2), new Float64Array(length).fill(3)],
    numbers: [33],
  });
  try {
    const [[product]] = await runSanitized(runner, [multiply(33)], { threads: 2, isa: 'wide' });
    expect([...product]).toEqual(new Array(33).fill(6));
    await expect(runSanitized(runner, [multiply(32)], { threads: 2, isa: 'wide' })).rejects.toThrow(
      /heap-buffer-overflow.*in case: product of 32/s,
    );
  } finally {
    runner.dispose();
  }
});
