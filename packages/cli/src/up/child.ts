/**
 * @file One child process of the supervisor: a `quasar` verb with an IPC channel, its log file, and its restarts.
 *
 * A service that ends is started again after a pause that doubles; several ends in a row without a healthy minute
 * between them mean that it is broken. A one-shot child (a miner) ends with code 0; after a crash it is started again
 * the same way, because it resumes.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { dirname, join } from 'node:path';
import { REPOSITORY } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import type { ReportedError } from '../report-error.ts';
import { type ChildMessage, STOP_MESSAGE } from '../service.ts';

const QUASAR = join(REPOSITORY, 'packages/cli/bin/quasar.js');
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
const ATTEMPTS = 4;
/** After this long in good health, earlier failures are forgotten. */
const HEALTHY_MS = 60_000;

export interface ChildSpec {
  name: string;
  /** Arguments of `quasar`. */
  args: string[];
  isOneShot: boolean;
  /** Leaves the processor to the services. */
  isBackground: boolean;
  logFile: string;
}

export type ChildState = 'starting' | 'running' | 'restarting' | 'done' | 'failed' | 'stopped';

export interface ChildHooks {
  onState(child: Child): void;
  onProgress(child: Child, facts: Record<string, unknown>): void;
}

export class Child {
  readonly spec: ChildSpec;
  state: ChildState = 'starting';
  /** What the verb said when it became ready, or last said about its progress. */
  facts: Record<string, unknown> = {};
  lastError: ReportedError | null = null;
  readonly #hooks: ChildHooks;
  #process: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #failures = 0;
  #startedMs = 0;
  #isStopping = false;
  #exited: Promise<void> = Promise.resolve();

  constructor(spec: ChildSpec, hooks: ChildHooks) {
    this.spec = spec;
    this.#hooks = hooks;
    mkdirSync(dirname(spec.logFile), { recursive: true });
    this.#start();
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Asks it to stop, kills it after `graceMs`. Resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const child = this.#process;
    if (child === null) {
      if (this.state === 'restarting') this.#enter('stopped');
      return;
    }
    if (child.connected) child.send(STOP_MESSAGE, () => {});
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await this.#exited;
    clearTimeout(timer);
  }

  kill(): void {
    this.#isStopping = true;
    this.#process?.kill('SIGKILL');
  }

  #start(): void {
    const log = openSync(this.spec.logFile, 'a');
    const child = fork(QUASAR, this.spec.args, { execArgv: [], stdio: ['ignore', log, log, 'ipc'] });
    closeSync(log);
    this.#process = child;
    this.#startedMs = Date.now();
    if (this.spec.isBackground && child.pid !== undefined) {
      try {
        setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
      } catch {
        // It has ended already; its exit is handled below.
      }
    }
    child.on('message', (message: ChildMessage) => this.#onMessage(message));
    this.#exited = new Promise((resolve) => {
      const end = (code: number | null, signal: string | null) => {
        if (this.#process !== child) return;
        this.#process = null;
        this.#onExit(code, signal);
        resolve();
      };
      child.on('exit', end);
      child.on('error', () => end(null, null));
    });
    this.state = 'starting';
    this.#hooks.onState(this);
  }

  #onMessage(message: ChildMessage): void {
    if (message.type === 'error') {
      this.lastError = message.error;
      return;
    }
    this.facts = { ...this.facts, ...message.facts };
    if (message.type === 'progress') this.#hooks.onProgress(this, message.facts);
    else this.#enter('running');
  }

  #onExit(code: number | null, signal: string | null): void {
    const next = this.#afterExit(code, signal);
    if (next === 'restarting') {
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 1));
      this.#timer = setTimeout(() => {
        this.lastError = null;
        this.#start();
      }, pauseMs);
    }
    this.#enter(next);
  }

  #afterExit(code: number | null, signal: string | null): ChildState {
    if (this.#isStopping) return 'stopped';
    if (this.spec.isOneShot && code === EXIT.ok) return 'done';
    if (Date.now() - this.#startedMs > HEALTHY_MS) this.#failures = 0;
    this.#failures++;
    this.lastError ??= {
      code: 'cli.child_ended',
      message: `${this.spec.name} ended with ${signal ?? `exit code ${code}`}`,
      hint: `see ${this.spec.logFile}`,
    };
    const isHopeless = code === EXIT.usage || code === EXIT.rejected;
    return isHopeless || this.#failures >= ATTEMPTS ? 'failed' : 'restarting';
  }

  #enter(state: ChildState): void {
    if (this.state === state) return;
    this.state = state;
    this.#hooks.onState(this);
  }
}
