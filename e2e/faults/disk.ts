/**
 * @file A disk that can be full for a while. As root a small file system in memory, which gives the real ENOSPC;
 * otherwise a limit on the size of files of the running process, which gives EFBIG.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const SIZE_MIB = 48;
const CHUNK = Buffer.alloc(64 * 1024);

export class Disk {
  readonly directory: string;
  readonly #isMounted: boolean;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
    const mount = ['-t', 'tmpfs', '-o', `size=${SIZE_MIB}m`, 'tmpfs', directory];
    this.#isMounted = process.getuid?.() === 0 && spawnSync('mount', mount).status === 0;
  }

  /** No more room for anybody; `pid` is who must notice. @returns whether this machine can do that */
  fill(pid: number | undefined): boolean {
    if (!this.#isMounted) return limitFiles(pid, '0:');
    const file = openSync(this.#filler, 'w');
    try {
      for (let chunk = CHUNK; chunk.length > 0; )
        try {
          writeSync(file, chunk);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          chunk = chunk.subarray(0, chunk.length >> 1);
        }
    } finally {
      closeSync(file);
    }
    return true;
  }

  empty(pid: number | undefined): void {
    if (this.#isMounted) rmSync(this.#filler, { force: true });
    else limitFiles(pid, 'unlimited:');
  }

  /** Takes the file system away; with `keepIn`, after its files were copied there. */
  close(keepIn?: string): void {
    if (!this.#isMounted) return;
    if (keepIn !== undefined) spawnSync('cp', ['-a', this.directory, keepIn]);
    spawnSync('umount', ['-l', this.directory]);
  }

  get #filler(): string {
    return join(this.directory, 'filler');
  }
}

/** A process that is not there has no limit to set. */
function limitFiles(pid: number | undefined, soft: string): boolean {
  return pid !== undefined && spawnSync('prlimit', ['--pid', String(pid), `--fsize=${soft}`]).status === 0;
}
