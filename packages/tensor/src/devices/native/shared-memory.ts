/**
 * @file Memory that processes of one machine share: a file that each of them maps, in memory where the system has room for it
 * there, else in the folder for temporary files.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { loadAddon, nativeAvailable } from './addon.ts';

export interface SharedMemory {
  /** For `openSharedMemory` in another process. */
  path: string;
  /** All zero. Lives while something refers to it, also when the path is gone. */
  buffer: ArrayBuffer;
}

const MEMORY_FOLDER = '/dev/shm';

/** Whoever makes it removes `path` when all have opened it. @throws QuasarError tensor.no_shared_memory, tensor.no_native */
export function createSharedMemory(bytes: number): SharedMemory {
  const addon = addonOrThrow();
  let failure: unknown;
  for (const folder of [MEMORY_FOLDER, tmpdir()]) {
    if (!existsSync(folder)) continue;
    const path = join(folder, `quasar-${randomBytes(8).toString('hex')}`);
    try {
      return { path, buffer: addon.map(path, bytes) };
    } catch (error) {
      failure = error;
      rmSync(path, { force: true });
    }
  }
  throw refused(`cannot share ${(bytes / 2 ** 20).toFixed(0)} MiB between processes`, failure);
}

/** @throws QuasarError tensor.no_shared_memory, tensor.no_native */
export function openSharedMemory(path: string): ArrayBuffer {
  try {
    return addonOrThrow().map(path, 0);
  } catch (error) {
    throw error instanceof QuasarError ? error : refused(`cannot open the shared memory ${path}`, error);
  }
}

function addonOrThrow() {
  if (nativeAvailable()) return loadAddon();
  throw new QuasarError('tensor.no_native', 'shared memory: compiled kernels not found', {
    hint: 'install gcc or clang and run npm test or npm start, which compile them',
  });
}

function refused(what: string, cause: unknown): QuasarError {
  return new QuasarError(
    'tensor.no_shared_memory',
    `${what}: ${(cause as Error | undefined)?.message ?? 'no folder for it'}`,
    {
      hint: 'make room in /dev/shm or in the folder for temporary files, or use fewer workers',
      cause,
    },
  );
}
