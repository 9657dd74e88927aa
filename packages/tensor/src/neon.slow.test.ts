/** @file The NEON kernels, on an emulated ARM processor, give the bits of this one. Needs Debian's cross compiler and QEMU. */
import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import { describe, expect, it } from 'vitest';
import { ADDON_PATH } from './devices/native.ts';
import { allCases } from './testing/cases/index.ts';

const COMPILER = 'aarch64-linux-gnu-gcc';
const EMULATOR = 'qemu-aarch64-static';

function isInstalled(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function digests(script: string, job: object): Promise<string[]> {
  const path = fileURLToPath(new URL(`./testing/${script}`, import.meta.url));
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, [path], { maxBuffer: 1e8 }, (error, stdout) =>
      error ? reject(error) : resolve(JSON.parse(stdout)[0].digests),
    );
    child.stdin?.end(serialize(job));
  });
}

const hasTools = isInstalled(COMPILER) && isInstalled(EMULATOR);
describe.skipIf(!hasTools)(`NEON (${hasTools ? '' : 'skipped: '}gcc-aarch64-linux-gnu, qemu-user-static)`, () => {
  it.each([1, 3])('agrees bit for bit on %i threads', async (threads) => {
    const cases = await allCases();
    const native = { addon: ADDON_PATH, threads: 1, isa: 'plain', workers: 0, rounds: 1, cases };
    const expected = await digests('run-cases.js', native);
    const neon = { compiler: COMPILER, flags: ['-O3', '-static'], sets: [['plain', []]], launcher: [EMULATOR] };
    const actual = await digests('stand-alone.js', { ...neon, threads, isa: 'plain', cases });
    expect(cases.filter((_, i) => actual[i] !== expected[i]).map((one) => one.name)).toEqual([]);
  });
});
