/**
 * @file How a cage is started: the command line that takes rights away before the first line of the child runs.
 *
 *     unshare -rn          an empty network namespace: not even the machine's own services can be reached
 *     setpriv              dies with its parent, however that dies; gains no rights by running something else
 *     node --permission    writes no file, starts no process; heap limited
 *
 * What a system cannot do is left out and said in the report, never silently assumed.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { findProgram, networkIsolation, permissionFlags } from '@quasar/base';

/** What holds a miner's model on this machine. Goes into the log and to `/health`. */
export interface CageIsolation {
  network: 'none' | 'reachable';
  /** How, or why not. */
  why: string;
  files: 'read-only' | 'unrestricted';
  memory: 'watched' | 'unwatched';
  diesWithParent: boolean;
}

export type CageProcess = ChildProcessByStdio<Writable, Readable, Readable>;

/** The engine computes outside of the heap: what grows inside it is a defect. */
const MAX_HEAP_MB = 512;

export function cageIsolation(): CageIsolation {
  const { isIsolated, why } = networkIsolation();
  return {
    network: isIsolated ? 'none' : 'reachable',
    why,
    files: permissionFlags().length > 0 ? 'read-only' : 'unrestricted',
    memory: existsSync('/proc/self/statm') ? 'watched' : 'unwatched',
    diesWithParent: tether().length > 0,
  };
}

/** Started in a process group of its own, which `kill(-pid)` ends as a whole. */
export function launchCage(program: string): CageProcess {
  const { launcher } = networkIsolation();
  const node = [
    ...[process.execPath, '--no-warnings', '--disable-proto=delete', `--max-old-space-size=${MAX_HEAP_MB}`],
    ...permissionFlags(['--allow-addons', '--allow-worker']),
  ];
  const [file = '', ...args] = [...launcher, ...tether(), ...node, program];
  const child = spawn(file, args, { env: scrubbed(), cwd: '/', stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  if (child.pid !== undefined) offerToOomKiller(child.pid);
  return child;
}

let found: string[] | null = null;

/** Tried once per process. */
function tether(): string[] {
  found ??= findTether();
  return found;
}

function findTether(): string[] {
  const setpriv = findProgram('setpriv');
  if (setpriv === null) return [];
  const launcher = [setpriv, '--pdeathsig', 'KILL', '--no-new-privs', '--'];
  const { status } = spawnSync(launcher[0]!, [...launcher.slice(1), 'true'], { stdio: 'ignore', timeout: 5000 });
  return status === 0 ? launcher : [];
}

/** What computes and nothing else: no tokens, no keys, no addresses. */
function scrubbed(): NodeJS.ProcessEnv {
  const { QUASAR_DEVICE } = process.env;
  return QUASAR_DEVICE === undefined ? {} : { QUASAR_DEVICE };
}

/** When the machine runs out of memory, the cage goes first, not the validator. */
function offerToOomKiller(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '1000');
  } catch {
    // Not Linux, or it has ended already.
  }
}
