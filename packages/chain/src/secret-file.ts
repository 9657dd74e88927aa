/** @file Creating a file that only its owner may read, whole or not at all, and never over an existing one. */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { QuasarError } from '@quasar/base';

/**
 * Writes a 0600 neighbour, syncs it, and links it to `path`: of two processes that create the same file at once, one wins
 * and both go on with the winner's content. Throws `chain.wallet_unwritable`.
 */
export function writeSecretOnce(path: string, text: string): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw new QuasarError('chain.wallet_unwritable', `cannot create the wallet file ${path}`, {
      hint: 'check that the directory is writable and the disk is not full',
      cause: error,
    });
  } finally {
    rmSync(temporary, { force: true });
  }
}
