/** @file The native device gives the same bits for every instruction set, thread count and number of callers. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import { beforeAll, describe, expect, it } from 'vitest';
import { ADDON_PATH, nativeAvailable } from './devices/native.ts';
import type { Case } from './testing/case.ts';
import { allCases } from './testing/cases/index.ts';

interface Result {
  isa: string;
  threads: number;
  digests: string[];
}

/** A process of its own, because the thread pool of a process never shrinks. */
function runAll(
  cases: Case[],
  options: { threads: number; isa: string; workers?: number; rounds?: number },
): Promise<Result[]> {
  const script = fileURLToPath(new URL('./testing/run-cases.js', import.meta.url));
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, [script], { maxBuffer: 1e8 }, (error, stdout) =>
      error ? reject(error) : resolve(JSON.parse(stdout)),
    );
    child.stdin?.end(serialize({ workers: 0, rounds: 1, ...options, addon: ADDON_PATH, cases }));
  });
}

describe.skipIf(!nativeAvailable())('native results, bit for bit', { timeout: 240_000 }, () => {
  let cases: Case[];
  let expected: Result;

  beforeAll(async () => {
    cases = await allCases();
    [expected] = (await runAll(cases, { threads: 1, isa: 'plain' })) as [Result];
  }, 240_000);

  function differing(result: Result): string[] {
    return cases.filter((_, i) => result.digests[i] !== expected.digests[i]).map((one) => one.name);
  }

  it('repeat on the portable instruction set', async () => {
    const [again] = (await runAll(cases, { threads: 3, isa: 'plain' })) as [Result];
    expect(['plain', 'neon']).toContain(again.isa);
    expect(differing(again)).toEqual([]);
  });

  it.each(['avx2', 'avx512'])('agree on %s (or the best below it that this processor has)', async (isa) => {
    const [result] = (await runAll(cases, { threads: 1, isa })) as [Result];
    expect(differing(result)).toEqual([]);
  });

  it.each([2, 3, 7])('agree on %i threads', async (threads) => {
    const [result] = (await runAll(cases, { threads, isa: 'auto' })) as [Result];
    expect(result.threads).toBe(threads);
    expect(differing(result)).toEqual([]);
  });

  it('agree when several JavaScript threads call at once, end, and others follow', async () => {
    const results = await runAll(cases, { threads: 2, isa: 'auto', workers: 2, rounds: 2 });
    expect(results).toHaveLength(4);
    for (const result of results) expect(differing(result)).toEqual([]);
  });
});
