/** @file `quasar evaluator run` processes, the cages they have opened, and the end of either by SIGKILL. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { childrenOf } from '@quasar/store/testing';
import { root } from '../../scripts/bootstrap.js';
import { ASSETS, until } from './arena.js';

export class Evaluators {
  #all = [];

  /** `count` of them on one queue, each with a download cache of its own. */
  constructor(count, { queue, hub, folder, threads }) {
    for (let i = 0; i < count; i++) {
      const where = ['--store', queue, '--hub', hub, '--home', join(folder, `evaluator-${i}`), '--name', `e${i}`];
      const how = ['--base', ASSETS.base, '--teacher', ASSETS.teacher, '--threads', String(threads)];
      const command = [join(root, 'packages/cli/bin/quasar.js'), 'evaluator', 'run', ...where, ...how];
      const child = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'pipe'] });
      const one = { child, exited: once(child, 'exit'), text: '' };
      child.stderr.setEncoding('utf8').on('data', (more) => {
        one.text += more;
      });
      this.#all.push(one);
    }
  }

  /** Until each has done one more unit of a challenger, or the round is over. @throws Error when one of them ends instead */
  async work(signal) {
    const before = this.#all.map(doneUnits);
    const hasWorked = (one, i) => {
      if (one.child.exitCode !== null) throw new Error(`an evaluator ended: ${one.text}`);
      return doneUnits(one) > before[i];
    };
    await until(() => signal.aborted || this.#all.every(hasWorked));
  }

  /** SIGKILL to the first `count`. */
  kill(count) {
    for (const { child } of this.#all.slice(0, count)) child.kill('SIGKILL');
  }

  /** SIGKILL to every process that computes for one of them. @returns how many there were */
  killCages() {
    const cages = this.#all.flatMap(({ child }) => childrenOf(child.pid));
    for (const pid of cages) process.kill(pid, 'SIGKILL');
    return cages.length;
  }

  /** @returns what failed and was given back to the queue, in words */
  async stop() {
    for (const { child } of this.#all) child.kill('SIGTERM');
    await Promise.all(this.#all.map(({ exited }) => exited));
    return this.#all.flatMap(({ text }) => text.split('\n').filter((line) => line.includes(': failed: ')));
  }
}

function doneUnits({ text }) {
  return text.split('\n').filter((line) => /of miner-\d+\/model from row \d+: [\d.]+ s$/.test(line)).length;
}
