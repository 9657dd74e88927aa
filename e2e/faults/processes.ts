/** @file The processes of a net: started, killed without warning, started again, stopped in good order; one log for each. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { QUASAR, REPOSITORY } from '../support/paths.ts';

const CLOCK = pathToFileURL(join(REPOSITORY, 'e2e/faults/clock.mjs')).href;
/** A service that ends by itself is started again, as any supervisor would. */
const RESTART_MS = 500;
/** A supervisor loses patience with a process that was told to stop. */
const STOP_MS = 15_000;

export interface Program {
  name: string;
  args: readonly string[];
  /** File with the shift of its calendar. */
  clockFile: string;
}

export class Processes {
  readonly #logs: string;
  readonly #running = new Map<string, ChildProcess>();
  /** How processes ended that nobody had asked to. */
  readonly endings: string[] = [];
  #isClosing = false;

  constructor(logs: string) {
    this.#logs = logs;
    mkdirSync(logs, { recursive: true });
  }

  start(program: Program): void {
    if (this.#isClosing || this.#running.has(program.name)) return;
    const log = openSync(join(this.#logs, `${program.name}.log`), 'a');
    // SIGXFSZ ignored: past a limit a write is an error, as on a full disk.
    const script = `trap '' XFSZ; exec "$@"`;
    const command = [process.execPath, '--import', CLOCK, QUASAR, ...program.args];
    const child = spawn('bash', ['-c', script, 'bash', ...command], {
      cwd: REPOSITORY,
      env: { ...process.env, CLOCK_FILE: program.clockFile },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#running.set(program.name, child);
    child.on('exit', (code, signal) => {
      if (this.#running.get(program.name) !== child) return;
      this.#running.delete(program.name);
      if (this.#isClosing) return;
      this.endings.push(`${program.name}: ${signal ?? code}`);
      setTimeout(() => this.start(program), RESTART_MS);
    });
  }

  pid(name: string): number | undefined {
    return this.#running.get(name)?.pid;
  }

  /** SIGKILL to this process alone: what it had started must notice. It is gone when this resolves, and stays so. */
  async kill(name: string): Promise<void> {
    const child = this.#running.get(name);
    this.#running.delete(name);
    await end(child, 'SIGKILL');
  }

  signal(name: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#running.get(name)?.kill(signal);
  }

  /** In good order. @returns exit code by name; null for one that did not end within STOP_MS and had to be killed */
  async stop(names: readonly string[]): Promise<Map<string, number | null>> {
    this.#isClosing = true;
    const codes = new Map<string, number | null>();
    for (const name of names) {
      const child = this.#running.get(name);
      if (!child) continue;
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await end(child, 'SIGTERM');
      clearTimeout(late);
      codes.set(name, child.exitCode);
    }
    return codes;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all([...this.#running.values()].map((child) => end(child, 'SIGKILL')));
  }
}

async function end(child: ChildProcess | undefined, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}
