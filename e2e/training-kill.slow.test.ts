/** @file Twenty SIGKILLs at random moments of a run, with workers and without: the weights of one that was never killed. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Rng } from '../packages/base/src/index.ts';
import { QUASAR, REPOSITORY } from './support/paths.ts';

const KILLS = 20;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-kill-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** @returns whether it came to its end before it was killed */
function pretrain(out: string, flags: readonly string[], killAfterMs?: number): Promise<boolean> {
  const tokenizer = join(REPOSITORY, 'assets/tokenizer.json');
  const own = ['--size', 'nano', '--tokenizer', tokenizer, '--steps', '120', '--rows', '1', '--tokens', '64'];
  const often = ['--accumulate', '2', '--save-every', '3', '--evaluate-every', '20', '--average', '0.9'];
  const where = ['--out', join(root, out), '--home', root, '--quiet'];
  const { INIT_CWD: _, ...env } = process.env;
  const child = spawn(process.execPath, [QUASAR, 'pretrain', ...own, ...often, ...flags, ...where], {
    env,
    stdio: 'ignore',
  });
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (signal === 'SIGKILL') resolve(false);
      else if (code === 0) resolve(true);
      else reject(new Error(`exit code ${code}`));
    });
  });
}

const digest = (out: string) =>
  createHash('sha256')
    .update(readFileSync(join(root, out, 'model.safetensors')))
    .digest('hex');

it.each([
  ['in one process', []],
  ['with two workers', ['--workers', '2']],
])('%s', async (_, flags) => {
  const startedAtMs = performance.now();
  expect(await pretrain('whole', flags)).toBe(true);
  const wholeMs = performance.now() - startedAtMs;
  const rng = new Rng('kills');
  let kills = 0;
  // From before the first step to some steps after a save; each life moves the run on a little.
  while (kills < KILLS) {
    const isDone = await pretrain('killed', flags, 100 + rng.next() * Math.max(1500, wholeMs / 8));
    expect(isDone || !existsSync(join(root, 'killed', 'model.safetensors'))).toBe(true);
    if (isDone) break;
    kills++;
  }
  console.log(`${kills} kills`);
  expect(kills).toBe(KILLS);
  expect(await pretrain('killed', flags)).toBe(true);
  expect(digest('killed')).toBe(digest('whole'));
});
