/** @file The processes of a net: started, killed without warning, started again, stopped in good order; one log for each. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { QUASAR, REPOSITORY } from '../support/paths.ts';

const CLOCK = pathToFileURL(join(REPOSITORY, 'e2e/faults/clock.mjs')).href;
/** What ends by itself is started again, as any supervisor would. */
const RESTART_MS = 500;
/** A supervisor loses patience with a process that was told to stop. */
const STOP_MS = 15_000;

export interface Program {
  name: string;
  /** Default: the `quasar` command, a service without an end. Another one is through when it ends with exit code 0. */
  script?: string;
  args: readonly string[];
  /** File with the shift of its calendar. */
  clockFile: string;
}

export class Processes {
  readonly #logs: string;
  readonly #running = new Map<string, { child: ChildProcess; again: () => void }>();
  /** How processes ended that nobody had asked to. */
  readonly endings: string[] = [];
  #isClosing = false;

  constructor(logs: string) {
    this.#logs = logs;
    mkdirSync(logs, { recursive: true });
  }

  /** Nothing when one of that name runs already. */
  start(program: Program, onThrough = () => {}): void {
    const { name, script, args, clockFile } = program;
    if (this.#isClosing || this.#running.has(name)) return;
    const log = openSync(join(this.#logs, `${name}.log`), 'a');
    // SIGXFSZ ignored: past a limit a write is an error, as on a full disk.
    const shell = `trap '' XFSZ; exec "$@"`;
    const command = [process.execPath, '--import', CLOCK, script ?? QUASAR, ...args];
    const child = spawn('bash', ['-c', shell, 'bash', ...command], {
      cwd: REPOSITORY,
      env: { ...process.env, CLOCK_FILE: clockFile },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const again = () => this.start(program, onThrough);
    this.#running.set(name, { child, again });
    child.on('exit', (code, signal) => {
      if (this.#running.get(name)?.child !== child) return;
      this.#running.delete(name);
      if (this.#isClosing) return;
      if (script !== undefined && code === 0) return onThrough();
      this.endings.push(`${name}: ${signal ?? code}`);
      setTimeout(again, RESTART_MS);
    });
  }

  /** Until it is through, however often it ends on the way. */
  run(program: Program): Promise<void> {
    return new Promise((resolve) => this.start(program, resolve));
  }

  pid(name: string): number | undefined {
    return this.#running.get(name)?.child.pid;
  }

  /** SIGKILL to this process alone: what it had started must notice. Resolves when it is started again, after `forMs`. */
  async kill(name: string, forMs: number): Promise<void> {
    const running = this.#running.get(name);
    if (!running) return;
    this.#running.delete(name);
    await end(running.child, 'SIGKILL');
    await sleep(forMs);
    running.again();
  }

  /**
   * In good order. @returns exit code or signal by name: `SIGTERM` for one that was only just starting, `SIGKILL` for one that did not
   * end within STOP_MS
   */
  async stop(names: readonly string[]): Promise<Map<string, number | string | null>> {
    this.#isClosing = true;
    const codes = new Map<string, number | string | null>();
    for (const name of names) {
      const child = this.#running.get(name)?.child;
      if (!child) continue;
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await end(child, 'SIGTERM');
      clearTimeout(late);
      codes.set(name, child.signalCode ?? child.exitCode);
    }
    return codes;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all([...this.#running.values()].map(({ child }) => end(child, 'SIGKILL')));
  }
}

async function end(child: ChildProcess | undefined, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}
