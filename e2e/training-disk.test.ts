/**
 * @file A disk that takes no more while a run is on: it goes on, says so, loses no checkpoint, and ends like one with room. The
 * disk is real: the system refuses to let a file grow past a limit, with the error of a file that is too large.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { QUASAR, REPOSITORY } from './support/paths.ts';
import { type Outcome, run } from './support/run.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-disk-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const FLAGS = [
  '--size',
  'nano',
  '--tokenizer',
  join(REPOSITORY, 'assets/tokenizer.json'),
  '--rows',
  '1',
  '--tokens',
  '16',
];

/** With a limit on every file, in blocks of 1024 bytes; writing past it is an error, not a signal. */
function pretrain(out: string, steps: number, limitBlocks?: number): Promise<Outcome> {
  const flags = [...FLAGS, '--steps', String(steps), '--save-every', '2', '--out', join(root, out), '--home', root];
  const command = [process.execPath, QUASAR, 'pretrain', ...flags];
  if (limitBlocks === undefined) return run(process.execPath, command.slice(1));
  const script = `trap '' XFSZ; ulimit -f ${limitBlocks}; exec "$@"`;
  return run('bash', ['-c', script, 'bash', ...command]);
}

const digest = (out: string) =>
  createHash('sha256')
    .update(readFileSync(join(root, out, 'model.safetensors')))
    .digest('hex');
const parts = (out: string) => readdirSync(join(root, out), { recursive: true, encoding: 'utf8' });

it('a run goes on without its resume points, and keeps the old one when the end cannot be written', async () => {
  expect((await pretrain('whole', 6)).code).toBe(0);

  // Resume points have three numbers for each weight and do not fit, the checkpoint does.
  const narrow = await pretrain('narrow', 6, 12_000);
  expect({ code: narrow.code, stderr: narrow.stderr }).toMatchObject({ code: 0 });
  expect(narrow.stderr).toMatch(/could not save.*EFBIG/s);
  expect(digest('narrow')).toBe(digest('whole'));

  // Nothing fits.
  const full = await pretrain('full', 6, 2000);
  expect(full.code).not.toBe(0);
  expect(full.stderr).toMatch(/train\.save_failed/);
  expect(full.stderr).toMatch(/make room on the disk/);
  expect(full.stderr).not.toMatch(/ at .*\.js:\d+/);
  expect(parts('full').filter((name) => /\.(tmp|partial)$|model\.safetensors/.test(name))).toEqual([]);
});

it('an older resume point survives a save that fails, and the run ends with the same weights', async () => {
  expect((await pretrain('whole', 8)).code).toBe(0);
  const script = `
    const { pretrain } = await import(${JSON.stringify(join(REPOSITORY, 'packages/train/dist/index.js'))});
    const { Tokenizer } = await import(${JSON.stringify(join(REPOSITORY, 'packages/model/dist/index.js'))});
    const tokenizer = Tokenizer.load(${JSON.stringify(join(REPOSITORY, 'assets/tokenizer.json'))});
    await pretrain({ size: 'nano', tokenizer, directory: ${JSON.stringify(join(root, 'killed'))}, steps: 8, seed: '0',
      settings: { B: 1, T: 16, saveEvery: 2 }, onStep: ({ step }) => { if (step === 5) process.kill(process.pid, 'SIGKILL'); } });`;
  await run(process.execPath, ['--input-type=module', '-e', script]);
  const point = join(root, 'killed', 'run', 'resume.safetensors');
  const before = readFileSync(point);
  const failed = await pretrain('killed', 8, 2000);
  expect(failed.code).not.toBe(0);
  expect(failed.stderr).toMatch(/train\.save_failed/);
  expect(readFileSync(point).equals(before)).toBe(true);
  expect((await pretrain('killed', 8)).code).toBe(0);
  expect(digest('killed')).toBe(digest('whole'));
});
