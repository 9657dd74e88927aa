/** @file One process trains into a folder at a time; whoever finds the lock of a dead process takes it over. */
import { readFileSync } from 'node:fs';
import { createFile, discardFile, identify, isAlive, type ProcessIdentity, QuasarError } from '@quasar/base';

/** @throws QuasarError train.run_active */
export function takeRunLock(path: string): void {
  for (;;) {
    if (createFile(path, JSON.stringify(identify(process.pid)))) return;
    const holder = lockHolder(path);
    if (holder !== null) {
      throw new QuasarError('train.run_active', `process ${holder.pid} is training into this folder (${path})`, {
        hint: 'wait for it, stop it, or choose another --out',
        retry: 'later',
      });
    }
    discardFile(path);
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
