import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identify, isAlive } from '@quasar/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HomeLock } from './lock.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quasar-lock-'));
  path = join(folder, 'up.lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a second supervisor is refused while the first one runs', async () => {
  const lock = await HomeLock.take(path);
  await expect(HomeLock.take(path)).rejects.toMatchObject({ code: 'usage.home_locked' });
  lock.release();
  const next = await HomeLock.take(path);
  next.release();
  expect(existsSync(path)).toBe(false);
});

test('a pid that was used again does not hold the lock', async () => {
  writeFileSync(path, JSON.stringify({ supervisor: { pid: process.pid, startTicks: '1' }, children: [] }));
  const lock = await HomeLock.take(path);
  lock.release();
});

test('a torn lock file is taken over', async () => {
  writeFileSync(path, '{"superv');
  const lock = await HomeLock.take(path);
  lock.release();
});

test('waits for the children of a supervisor that was killed', async () => {
  const orphan = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 700)'], { stdio: 'ignore' });
  await once(orphan, 'spawn');
  const identity = identify(orphan.pid as number);
  const dead = { pid: process.pid, startTicks: '1' };
  writeFileSync(path, JSON.stringify({ supervisor: dead, children: [identity] }));
  expect(isAlive(identity)).toBe(true);
  const lock = await HomeLock.take(path);
  expect(isAlive(identity)).toBe(false);
  lock.release();
});
