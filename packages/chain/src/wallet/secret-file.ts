/** @file Key files on disk: bounded reading, and creating what only its owner may read, whole or not at all. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { QuasarError } from '@quasar/base';

/** Real files have less than 1 KB. */
const MAX_BYTES = 65_536;

/**
 * The contents of a regular file of at most 64 KB; null when there is none. A symbolic link is not followed: what is
 * opened is what was looked at. @throws chain.wallet_unreadable
 */
export function readSecretFile(path: string): Buffer | null {
  const unreadable = (why: string, cause?: unknown) =>
    new QuasarError('chain.wallet_unreadable', `cannot read the wallet file ${path}: ${why}`, {
      hint: 'give the key file itself, and check that you may read it',
      cause,
    });
  let fd: number;
  try {
    // Without waiting: a named pipe would block.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw unreadable(code === 'ELOOP' ? 'it is a symbolic link' : String(code), error);
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw unreadable(stats.isDirectory() ? 'it is a folder' : 'it is no regular file');
    const buffer = Buffer.alloc(MAX_BYTES + 1);
    let size = 0;
    for (let read = -1; read !== 0 && size < buffer.length; size += read)
      read = readSync(fd, buffer, size, buffer.length - size, null);
    if (size > MAX_BYTES) throw unreadable(`it has more than ${MAX_BYTES} bytes`);
    return buffer.subarray(0, size);
  } finally {
    closeSync(fd);
  }
}

/** As `writeSecretOnce`, for files that must not exist. @throws chain.wallet_exists, chain.wallet_unwritable */
export function createSecretFile(path: string, content: string | Uint8Array): void {
  if (writeSecretOnce(path, content)) return;
  throw new QuasarError('chain.wallet_exists', `the wallet file ${path} exists already`, {
    hint: 'nothing was written; choose another name, or move the file away after you made sure that you have its phrase',
  });
}

/**
 * Writes a 0600 neighbour, syncs it, and links it to `path`: of two processes that create the same file at once, one wins
 * and both go on with the winner's content. False: there was a file already, and it is untouched.
 * @throws chain.wallet_unwritable
 */
export function writeSecretOnce(path: string, content: string | Uint8Array): boolean {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      writeFileSync(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new QuasarError('chain.wallet_unwritable', `cannot create the wallet file ${path}`, {
      hint: 'check that the directory is writable and the disk is not full',
      cause: error,
    });
  } finally {
    rmSync(temporary, { force: true });
  }
}
