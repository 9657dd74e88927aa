/**
 * @file One supervisor per home. The lock file names the supervisor and its children, so that the next one can tell a
 * running net from one that was killed, and wait for orphans before it takes their ports and files.
 */
import { readFileSync, rmSync } from 'node:fs';
import {
  createFile,
  discardFile,
  endAll,
  identify,
  isAlive,
  type ProcessIdentity,
  QuasarError,
  writeFileAtomic,
} from '@quasar/base';

/** Orphans stop when their channel closes; training ends at the next step. */
const ORPHAN_GRACE_MS = 8000;

interface LockContent {
  supervisor: ProcessIdentity;
  children: ProcessIdentity[];
}

export class HomeLock {
  readonly #path: string;
  readonly #self = identify(process.pid);

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Takes the lock; the folder must exist. Waits for the children of a supervisor that was killed.
   * @throws usage.home_locked when another supervisor runs here
   */
  static async take(path: string): Promise<HomeLock> {
    const lock = new HomeLock(path);
    for (;;) {
      if (createFile(path, lock.#content([]))) return lock;
      const old = readLock(path);
      if (old !== null && isAlive(old.supervisor)) {
        throw new QuasarError('usage.home_locked', `another quasar up (pid ${old.supervisor.pid}) runs on this home`, {
          hint: 'stop it, or choose another folder with --home',
        });
      }
      if (old !== null) await endAll(old.children, ORPHAN_GRACE_MS);
      discardFile(path);
    }
  }

  /** Whether a supervisor runs here. */
  static isHeld(path: string): boolean {
    const lock = readLock(path);
    return lock !== null && isAlive(lock.supervisor);
  }

  setChildren(pids: readonly number[]): void {
    writeFileAtomic(this.#path, this.#content(pids.map(identify)));
  }

  release(): void {
    rmSync(this.#path, { force: true });
  }

  #content(children: ProcessIdentity[]): string {
    return JSON.stringify({ supervisor: this.#self, children } satisfies LockContent);
  }
}

/** Null when it cannot be read: torn by a power cut, or just removed by its owner. */
function readLock(path: string): LockContent | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LockContent;
  } catch {
    return null;
  }
}
