/**
 * @file Which process a pid means. Pids are used again, so a pid is remembered with the moment its process started
 * (Linux: field 22 of /proc/PID/stat, in clock ticks since boot). Elsewhere the pid alone has to do.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessIdentity {
  pid: number;
  startTicks: string | null;
}

export function identify(pid: number): ProcessIdentity {
  return { pid, startTicks: startTicksOf(pid) };
}

/** Does exactly this process still run? A zombie does not. */
export function isAlive({ pid, startTicks }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return startTicks === null || startTicksOf(pid) === startTicks;
}

/** Gives processes `graceMs` to end by themselves, then ends them. */
export async function endAll(processes: readonly ProcessIdentity[], graceMs: number): Promise<void> {
  const deadlineMs = Date.now() + graceMs;
  for (;;) {
    const left = processes.filter(isAlive);
    if (left.length === 0) return;
    if (Date.now() >= deadlineMs) {
      for (const one of left) process.kill(one.pid, 'SIGKILL');
      return;
    }
    await sleep(50);
  }
}

function startTicksOf(pid: number): string | null {
  try {
    // The second field, the program's name in brackets, may hold spaces: count from its end.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
