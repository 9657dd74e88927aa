/**
 * @file Peers: other programs that do the same work, each a child process that lives as long as the run, so that its start
 * is never timed. Protocol, one JSON object per line: `{"op":"info"}` -> `{"name":…,"version":…}`;
 * `{"op":"prepare", …case}` -> `{"id":…}`; `{"op":"time","id":…,"repeats":n}` -> `{"seconds":…}` per repeat;
 * `{"op":"drop","id":…}`. A failure answers `{"error":…}`.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SETUP = 'run bench/peers/setup';
const here = fileURLToPath(new URL('./peers/', import.meta.url));

/** What `bench/peers/setup` fills: a Python environment, compiled C peers, JavaScript packages. */
export function peersHome() {
  return process.env.QUASAR_PEERS || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'quasar-peers');
}

const python = (script) => ({ program: join(peersHome(), 'bin/python'), args: [join(here, script)] });
const compiled = (name) => ({ program: join(peersHome(), 'bin', `quasar-${name}`), args: [] });

/** By the name that tables use. Two names may share a process: torch runs eager and compiled cases. */
const COMMANDS = {
  openblas: () => compiled('openblas'),
  libxsmm: () => compiled('libxsmm'),
  peak: () => compiled('peak'),
  torch: () => python('torch_peer.py'),
  tfjs: () => ({ program: process.execPath, args: [join(here, 'tfjs.js')], needs: join(peersHome(), 'node_modules') }),
};

export class Peers {
  #children = new Map();
  #threads;
  #isOff;

  constructor({ threads, isOff }) {
    this.#threads = threads;
    this.#isOff = isOff;
  }

  /**
   * A runner of one case.
   * @param {string} name of the process @param {object} request the case, as the peer understands it
   * @returns {{missing: string} | {answer: object, sample: (repeats: number) => Promise<number>, drop: () => Promise<void>}}
   */
  async prepare(name, request) {
    if (this.#isOff) return { missing: 'left out' };
    const child = await this.#open(name);
    if ('missing' in child) return child;
    const answer = await child.ask({ op: 'prepare', ...request });
    return {
      answer,
      sample: async (repeats) => (await child.ask({ op: 'time', id: answer.id, repeats })).seconds,
      drop: () => child.ask({ op: 'drop', id: answer.id }),
    };
  }

  /** Versions of the peers that ran. */
  versions() {
    return Object.fromEntries([...this.#children].flatMap(([name, c]) => (c.version ? [[name, c.version]] : [])));
  }

  /** Process ids, for counting whose work kept the cores busy. */
  pids() {
    return [...this.#children.values()].flatMap((c) => (c.pid ? [c.pid] : []));
  }

  close() {
    for (const child of this.#children.values()) child.close?.();
    this.#children.clear();
  }

  async #open(name) {
    const known = this.#children.get(name);
    if (known) return known;
    const { program, args, needs } = COMMANDS[name]();
    const absent = [program, needs].find((path) => path && !existsSync(path));
    const child = absent ? { missing: `missing: ${SETUP}` } : await this.#start(name, program, args);
    this.#children.set(name, child);
    return child;
  }

  async #start(name, program, args) {
    const threads = String(this.#threads);
    const process_ = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        ...process.env,
        QUASAR_PEERS: peersHome(),
        OMP_NUM_THREADS: threads,
        OPENBLAS_NUM_THREADS: threads,
        TORCHINDUCTOR_CACHE_DIR: join(peersHome(), 'inductor'),
      },
    });
    const waiting = [];
    let hasEnded = false;
    process_.on('error', () => {});
    process_.stdin.on('error', () => {});
    createInterface({ input: process_.stdout }).on('line', (line) => waiting.shift()?.(line));
    process_.on('close', (code) => {
      hasEnded = true;
      for (const resolve of waiting.splice(0)) resolve(JSON.stringify({ error: `peer ${name} ended (code ${code})` }));
    });
    const ask = async (request) => {
      if (hasEnded) throw new Error(`peer ${name} has ended`);
      const line = await new Promise((resolve) => {
        waiting.push(resolve);
        process_.stdin.write(`${JSON.stringify(request)}\n`);
      });
      const answer = JSON.parse(line);
      if (answer.error) throw new Error(answer.error);
      return answer;
    };
    try {
      const { version } = await ask({ op: 'info' });
      return { ask, version, pid: process_.pid, close: () => process_.stdin.end() };
    } catch (error) {
      return { missing: `${error.message}: ${SETUP}` };
    }
  }
}
