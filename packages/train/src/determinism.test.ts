/** @file Training steps and scores have the same bits for every thread count and instruction set. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { nativeAvailable } from '@quasar/tensor';
import { beforeAll, describe, expect, it } from 'vitest';

interface Result {
  isa: string;
  threads: number;
  digest: string;
}

/** A process of its own, because the thread pool of a process never shrinks. */
function run(threads: number, isa: string): Promise<Result> {
  const script = fileURLToPath(new URL('./testing/run-steps.js', import.meta.url));
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [script, String(threads), isa], (error, stdout) =>
      error ? reject(error) : resolve(JSON.parse(stdout)),
    );
  });
}

describe.skipIf(!nativeAvailable())('two steps of AdamW, two of Muon, and scores', () => {
  let expected: Result;
  beforeAll(async () => {
    expected = await run(1, 'auto');
  }, 60_000);

  it.each([2, 3, 7])('agree bit for bit on %i threads', async (threads) => {
    expect(await run(threads, 'auto')).toEqual({ ...expected, threads });
  });

  it.each(['plain', 'avx2'])(
    'agree bit for bit on %s (or the best below it that this processor has)',
    async (isa) => {
      expect((await run(2, isa)).digest).toBe(expected.digest);
    },
    120_000,
  );
});
