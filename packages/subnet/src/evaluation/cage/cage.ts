/**
 * @file The cage: miners' models run in another process, which has no network, writes nothing, and is watched.
 *
 * It gets a unit, directories and blobs over a pipe and gives a result back the same way. A child that dies, that takes
 * too long, that takes too much memory, or that answers nonsense is killed with everything it started, and the unit ends
 * as an error with a code of its own; the next unit gets a fresh child. Engines stay loaded between units.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QuasarError } from '@quasar/base';
import type { RunOptions, UnitInput, UnitOutput, UnitRunner } from '../compute.ts';
import { type Unit, unitPayload, unitTokens } from '../units.ts';
import { type CageProcess, launchCage } from './launch.ts';
import { encodeMessage, type Message, MessageReader } from './wire.ts';

export interface CageOptions {
  /** Default: one per core. */
  threads?: number | undefined;
  /** Resident memory; default by the size of the models (`memoryLimitBytes`). */
  memoryBytes?: number | undefined;
  /** Default by the size of unit and models (`timeLimitMs`). */
  timeoutMs?: number | undefined;
  /** Compiled program of the child. */
  program?: string | undefined;
}

/** As `dist`, also when this file is run as TypeScript. */
const CHILD = fileURLToPath(new URL('../../../dist/evaluation/cage/child.js', import.meta.url));
const START_TIMEOUT_MS = 60_000;
const WATCH_MS = 50;
const STDERR_CHARS = 2000;

/** The first error of a unit that says something about the unit; the same codes for any cause inside the cage. */
export const CAGE_FAILURES: ReadonlySet<string> = new Set([
  'evaluation.crashed',
  'evaluation.timeout',
  'evaluation.memory',
  'evaluation.bad_answer',
]);

/** Weights once on disk and once in kernel order, the other model of the unit, states and blobs: several times the files. */
export function memoryLimitBytes(modelBytes: number): number {
  return 2 * 1024 ** 3 + 4 * modelBytes;
}

/**
 * Some thirty times what two slow cores need: a healthy model never meets it, also on a machine that does other things.
 * Decoding reads all weights for each token, so the time of a token grows with them.
 */
export function timeLimitMs(unit: Unit, modelBytes: number): number {
  return 120_000 + unitTokens(unit) * (10 + modelBytes / 4e6);
}

export class Cage implements UnitRunner {
  readonly #options: CageOptions;
  #session: Session | null = null;

  constructor(options: CageOptions = {}) {
    this.#options = options;
  }

  /** Of the process that computes now; null while there is none. */
  get pid(): number | null {
    return this.#session?.pid ?? null;
  }

  /** One unit at a time. @throws QuasarError one of `CAGE_FAILURES`, `evaluation.cage_unavailable`, `evaluation.cancelled`, or what the unit throws */
  async run(input: UnitInput, options: RunOptions = {}): Promise<UnitOutput> {
    const { signal, onProgress } = options;
    const session = await this.#started();
    if (signal?.aborted) throw cancelled();
    const { unit } = input;
    const modelBytes = input.directories.reduce((sum, directory) => sum + weightBytes(directory), 0);
    const onAbort = () => session.end(cancelled());
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await session.run(input, {
        timeoutMs: this.#options.timeoutMs ?? timeLimitMs(unit, modelBytes),
        memoryBytes: this.#options.memoryBytes ?? memoryLimitBytes(modelBytes),
        onProgress: onProgress ?? (() => {}),
      });
    } finally {
      signal?.removeEventListener('abort', onAbort);
      if (!session.isAlive) this.#session = null;
    }
  }

  /** The next unit gets a fresh child. */
  async close(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    session?.end(cancelled());
    await session?.ended;
  }

  async #started(): Promise<Session> {
    if (this.#session?.isAlive) return this.#session;
    const session = new Session(this.#options.program ?? CHILD);
    this.#session = session;
    await session.open(this.#options.threads);
    return session;
  }
}

interface Limits {
  timeoutMs: number;
  memoryBytes: number;
  onProgress(rows: number): void;
}

interface Answer {
  message: Message;
  blobs: Buffer[];
}

/** One run of the child. */
class Session {
  readonly ended: Promise<void>;
  readonly #child: CageProcess;
  readonly #reader = new MessageReader();
  #waiting: { resolve(answer: Answer): void; reject(error: Error): void } | null = null;
  #onProgress: (rows: number) => void = () => {};
  /** Why it was ended, or why it ended. */
  #failure: QuasarError | null = null;
  #stderr = '';

  constructor(program: string) {
    this.#child = launchCage(program);
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (cause) => {
        this.end(unavailable(`cannot be started: ${cause.message}`));
        resolve();
      });
      this.#child.once('close', (code, signal) => {
        this.end(this.#death(code, signal));
        resolve();
      });
    });
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-STDERR_CHARS);
    });
    this.#child.stdout.on('data', (chunk: Buffer) => {
      try {
        for (const answer of this.#reader.push(chunk)) this.#receive(answer);
      } catch {
        this.end(nonsense());
      }
    });
  }

  get isAlive(): boolean {
    return this.#failure === null;
  }

  get pid(): number | null {
    return this.isAlive ? (this.#child.pid ?? null) : null;
  }

  async open(threads: number | undefined): Promise<void> {
    const timer = setTimeout(() => this.end(unavailable(`did not start in ${START_TIMEOUT_MS} ms`)), START_TIMEOUT_MS);
    try {
      const { message } = await this.#ask({ type: 'open', threads });
      if (message.type !== 'ready') this.end(nonsense());
    } catch (error) {
      // A child that dies before it was given anything says nothing about a model.
      throw error instanceof QuasarError && error.retry === 'never' ? unavailable(error.message) : error;
    } finally {
      clearTimeout(timer);
    }
    if (this.#failure) throw unavailable(this.#failure.message);
  }

  async run({ unit, directories, blobs }: UnitInput, limits: Limits): Promise<UnitOutput> {
    const message = { type: 'run', kind: unit.kind, payload: unitPayload(unit), directories };
    this.#onProgress = limits.onProgress;
    const timer = setTimeout(() => this.end(timedOut(limits.timeoutMs)), limits.timeoutMs);
    const watch = setInterval(() => {
      const bytes = residentBytes(this.#child.pid);
      if (bytes > limits.memoryBytes) this.end(tooMuchMemory(bytes, limits.memoryBytes));
    }, WATCH_MS);
    try {
      return readAnswer(await this.#ask(message, blobs), this);
    } finally {
      clearTimeout(timer);
      clearInterval(watch);
      this.#onProgress = () => {};
    }
  }

  /** Kills the whole group. The first reason counts. */
  end(why: QuasarError): void {
    if (this.#failure !== null) return;
    this.#failure = why;
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
    this.#waiting?.reject(why);
    this.#waiting = null;
  }

  #ask(message: Message, blobs: readonly Uint8Array[] = []): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#waiting = { resolve, reject };
      for (const frame of encodeMessage(message, blobs)) this.#child.stdin.write(frame);
    });
  }

  #receive(answer: Answer): void {
    const { type, rows } = answer.message;
    if (type === 'progress') {
      this.#onProgress(Number(rows));
      return;
    }
    this.#waiting?.resolve(answer);
    this.#waiting = null;
  }

  #death(code: number | null, signal: string | null): QuasarError {
    if (this.#stderr.includes('heap out of memory')) return tooMuchMemory(null, null);
    const words = this.#stderr.trim().split('\n').at(-1);
    return new QuasarError(
      'evaluation.crashed',
      `the process that computed it ended with ${signal ?? `exit code ${code}`}${words ? `: ${words}` : ''}`,
      { hint: CRASH_HINT },
    );
  }
}

const CRASH_HINT = 'Load the checkpoint with `quasar check` on a machine like the validator.';

function readAnswer({ message, blobs }: Answer, session: Session): UnitOutput {
  const { type, result, name, code, hint, retry } = message;
  if (type === 'failed') {
    throw new QuasarError(String(code), String(message.message), {
      ...(typeof hint === 'string' ? { hint } : {}),
      retry: retry === 'later' ? 'later' : 'never',
    });
  }
  const isNamed = blobs.length === (name === null ? 0 : 1);
  if (type === 'done' && isNamed && result !== null && typeof result === 'object') {
    const blob = blobs[0] === undefined ? null : { name: String(name), bytes: blobs[0] };
    return { result: result as Record<string, unknown>, blob };
  }
  const error = nonsense();
  session.end(error);
  throw error;
}

/** 0 where it cannot be told. */
function residentBytes(pid: number | undefined): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function weightBytes(directory: string): number {
  const files = readdirSync(directory).filter((name) => name.endsWith('.safetensors'));
  return files.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

function timedOut(timeoutMs: number): QuasarError {
  return new QuasarError('evaluation.timeout', `not done after ${Math.round(timeoutMs / 1000)} s`, {
    hint: CRASH_HINT,
  });
}

function tooMuchMemory(bytes: number | null, limit: number | null): QuasarError {
  const megabytes = (of: number) => `${Math.round(of / 1e6)} MB`;
  const what = bytes === null || limit === null ? 'its heap' : `${megabytes(bytes)} of ${megabytes(limit)} allowed`;
  return new QuasarError('evaluation.memory', `took too much memory: ${what}`, { hint: CRASH_HINT });
}

function nonsense(): QuasarError {
  return new QuasarError('evaluation.bad_answer', 'the process that computed it answered nonsense', {
    hint: CRASH_HINT,
  });
}

function unavailable(why: string): QuasarError {
  return new QuasarError('evaluation.cage_unavailable', `the process that computes: ${why}`, {
    hint: 'See `quasar doctor`; build again with `npm run build`.',
    retry: 'later',
  });
}

function cancelled(): QuasarError {
  return new QuasarError('evaluation.cancelled', 'the evaluation was stopped', { retry: 'later' });
}
