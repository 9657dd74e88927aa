/** @file What a figure was measured on, and how much of the machine other work took meanwhile. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { root } from '../scripts/bootstrap.js';

export function describeMachine(device) {
  return {
    cpu: cpus()[0]?.model.trim() ?? process.arch,
    cores: availableParallelism(),
    memoryGB: Math.round(totalmem() / 1e9),
    isa: device.isa,
    threads: device.threads,
    node: process.version,
    commit: commit(),
  };
}

function commit() {
  try {
    const git = (...args) => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain') ? ' + changes' : ''}`;
  } catch {
    return null;
  }
}

export function load() {
  return Number(loadavg()[0].toFixed(2));
}

/** CPU seconds so far of the whole machine and of this process with the given ones; null where /proc does not say. */
export function cpuSeconds(pids) {
  if (!existsSync('/proc/stat')) return null;
  const ticks = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].trim().split(/\s+/).slice(1).map(Number);
  const [user, nice, system, , , irq, softirq, steal] = ticks;
  const { user: ownUser, system: ownSystem } = process.cpuUsage();
  let mine = (ownUser + ownSystem) / 1e6;
  for (const pid of pids) mine += processTicks(pid) / 100;
  return { all: (user + nice + system + irq + softirq + steal) / 100, mine };
}

/** Of a process and of its children that have ended. */
function processTicks(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    const own = fields.slice(11, 15).reduce((sum, x) => sum + Number(x), 0);
    const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean),
    );
    return own + children.reduce((sum, child) => sum + processTicks(child), 0);
  } catch {
    return 0;
  }
}

/** Share of the cores that other work took between two readings, 0 to 1; null where it is not known. */
export function foreignShare(before, after, wallS) {
  if (!before || !after) return null;
  const foreign = after.all - before.all - (after.mine - before.mine);
  return Math.max(0, foreign / (wallS * availableParallelism()));
}
