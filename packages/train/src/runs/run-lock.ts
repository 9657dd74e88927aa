/** @file One process trains into a folder at a time; whoever finds the lock of a dead process takes it over. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { identify, isAlive, type ProcessIdentity, QuasarError } from '@quasar/base';

/** @throws QuasarError train.run_active */
export function takeRunLock(path: string): void {
  for (;;) {
    try {
      writeFileSync(path, JSON.stringify(identify(process.pid)), { flag: 'wx' });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = lockHolder(path);
    if (holder !== null) {
      throw new QuasarError('train.run_active', `process ${holder.pid} is training into this folder (${path})`, {
        hint: 'wait for it, stop it, or choose another --out',
        retry: 'later',
      });
    }
    discard(path);
  }
}

/** The process that trains now; null: none does. */
export function lockHolder(path: string): ProcessIdentity | null {
  try {
    const holder = JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity;
    return Number.isInteger(holder.pid) && isAlive(holder) ? holder : null;
  } catch {
    return null;
  }
}

/** By rename, so that of two processes that find the same dead lock only one removes it. */
function discard(path: string): void {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  rmSync(aside, { force: true });
}
