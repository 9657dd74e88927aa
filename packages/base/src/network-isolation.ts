/**
 * @file Starting a child that can do less than its parent: without any network, in an empty network namespace of Linux
 * (`unshare`), and without the rights that Node's permission model withholds.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Isolation {
  /** What to put before the command line of a child; empty: nothing can be done. */
  launcher: string[];
  isIsolated: boolean;
  /** For `doctor`: how, or why not. */
  why: string;
}

let found: Isolation | null = null;

/** Tried once per process. */
export function networkIsolation(): Isolation {
  found ??= findIsolation();
  return found;
}

function findIsolation(): Isolation {
  const none = (why: string) => ({ launcher: [], isIsolated: false, why });
  const own = networkNamespace();
  if (own === null) return none('only Linux has network namespaces');
  const unshare = findProgram('unshare');
  if (unshare === null) return none('the program unshare (util-linux) is not installed');
  // With a user namespace of its own, which needs no rights; where those are forbidden, root can do without.
  for (const flags of ['-rn', '-n']) {
    const { status } = spawnSync(unshare, [flags, 'true'], { stdio: 'ignore', timeout: 5000 });
    if (status === 0)
      return {
        launcher: [unshare, flags, '--'],
        isIsolated: true,
        why: `a network namespace of its own (unshare ${flags})`,
      };
  }
  return none('this system does not let a process make a network namespace');
}

/** Of this process; null where there are none. */
export function networkNamespace(): string | null {
  try {
    return readlinkSync('/proc/self/ns/net');
  } catch {
    return null;
  }
}

/**
 * Flags of Node's permission model that allow reading files, and what is granted besides; none where this Node has no
 * such model. Without a grant a process writes no file, starts no process and no thread, and loads no addon.
 */
export function permissionFlags(grants: readonly ('--allow-addons' | '--allow-worker')[] = []): string[] {
  const known = (flag: string) => process.allowedNodeEnvironmentFlags.has(flag);
  const model = ['--permission', '--experimental-permission'].find(known);
  return model === undefined ? [] : [model, '--allow-fs-read=*', ...grants.filter(known)];
}

/** The full path of a program of the search path, or null. */
export function findProgram(name: string): string | null {
  const folders = (process.env.PATH ?? '/usr/bin:/bin').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}
