/**
 * @file The evaluation of a validator: its queue, the evaluators in its own care, and the names of base and teacher.
 *
 * By default one evaluator works beside the validator on a queue in its work directory, so a single command does
 * everything. With `evaluators: 0` the validator only hands out units, and evaluators elsewhere do them.
 */
import { join } from 'node:path';
import { QuasarError, sha256Hex, untilThere, type WaitOptions } from '@quasar/base';
import type { HubClient } from '@quasar/hub';
import { type JobQueue, openJobQueue } from '@quasar/store';
import { Cage } from './cage/cage.ts';
import { cageIsolation } from './cage/launch.ts';
import type { UnitRunner } from './compute.ts';
import { runEvaluator, type UnitReport } from './evaluator.ts';
import { checkpointDigest, ModelStore } from './model-store.ts';
import { type ModelRef, UNITS_VERSION } from './units.ts';

/** Of an evaluator in the validator's own process: after a crash of both, nobody waits longer for what they were at. */
const OWN_LEASE_MS = 5000;

export interface EvaluationOptions {
  hub: HubClient;
  baseDirectory: string;
  teacherDirectory: string;
  workDirectory: string;
  /** Path of an SQLite file or a Postgres address; default a file in the work directory. */
  queueUrl?: string | undefined;
  /** Evaluators beside the validator. Default 1. */
  evaluators?: number | undefined;
  /** Of each evaluator; default one per core. */
  threads?: number | undefined;
  /** What evaluators compute with; default a cage each. */
  openRunner?: (() => UnitRunner) | undefined;
  onUnit?: ((report: UnitReport) => void) | undefined;
  /** How to wait for a queue that is away. Default: not at all. */
  waiting?: WaitOptions | undefined;
}

export class Evaluation {
  readonly queue: JobQueue;
  readonly base: ModelRef;
  readonly teacher: ModelRef;
  readonly #evaluators: number;
  readonly #stop = new AbortController();
  #running: Promise<void>[] = [];
  #failure: unknown = null;

  private constructor(queue: JobQueue, base: ModelRef, teacher: ModelRef, evaluators: number) {
    this.queue = queue;
    this.base = base;
    this.teacher = teacher;
    this.#evaluators = evaluators;
  }

  /** @throws QuasarError as `openJobQueue` */
  static async open(options: EvaluationOptions): Promise<Evaluation> {
    const { baseDirectory, teacherDirectory, evaluators = 1, waiting } = options;
    const [base, teacher] = await Promise.all([checkpointDigest(baseDirectory), checkpointDigest(teacherDirectory)]);
    const open = () => openJobQueue(options.queueUrl ?? join(options.workDirectory, 'queue.sqlite'));
    const queue = await (waiting ? untilThere(open, waiting) : open());
    const evaluation = new Evaluation(
      queue,
      { from: 'base', sha256: base },
      { from: 'teacher', sha256: teacher },
      evaluators,
    );
    evaluation.#start(options);
    return evaluation;
  }

  /** In one line, for the log and for whoever asks after the validator's health. */
  get isolation(): string {
    return this.#evaluators === 0 ? 'evaluators elsewhere' : isolationText();
  }

  /** @throws QuasarError `validator.no_evaluator` when one in this validator's care ended: nothing would be measured any more */
  check(): void {
    if (this.#failure === null) return;
    const cause = this.#failure;
    throw new QuasarError('validator.no_evaluator', `the evaluator of this validator ended: ${cause}`, {
      hint: 'See the queue and the disk it lies on.',
      cause,
    });
  }

  /** The place of one round: everything that its results depend on is in the name. */
  roundPrefix(hotkey: string, seedHash: string, configHash: string): string {
    const names = [UNITS_VERSION, seedHash, configHash, this.base, this.teacher];
    return `${prefixOf(hotkey)}${sha256Hex(JSON.stringify(names)).slice(0, 12)}`;
  }

  /** Between two rounds: nothing that the queue holds of this validator is of any more use. */
  async forgetRounds(hotkey: string): Promise<void> {
    await this.queue.forget(prefixOf(hotkey));
  }

  /** Stops the evaluators in this validator's care; what they were at is given back. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
    await this.queue.close();
  }

  #start(options: EvaluationOptions): void {
    const models = new ModelStore(options);
    const { openRunner = () => new Cage({ threads: options.threads }) } = options;
    this.#running = Array.from({ length: this.#evaluators }, async () => {
      const runner = openRunner();
      try {
        const own = { signal: this.#stop.signal, leaseMs: OWN_LEASE_MS, onUnit: options.onUnit };
        await runEvaluator({ queue: this.queue, models, runner, ...own });
      } catch (error) {
        this.#failure = error;
      } finally {
        await runner.close();
      }
    });
  }
}

/** The place of a validator's jobs among those of others that share the queue. */
function prefixOf(hotkey: string): string {
  return `round/${sha256Hex(hotkey).slice(0, 12)}/`;
}

/** How a cage on this machine is closed. */
export function isolationText(): string {
  const { network, why, files, memory, diesWithParent } = cageIsolation();
  return [
    network === 'none' ? 'process without network' : `process WITH network (${why})`,
    files === 'read-only' ? 'files read-only' : 'files unrestricted',
    memory === 'watched' ? 'memory watched' : 'memory unwatched',
    diesWithParent ? 'ends with its evaluator' : 'ends with its input',
  ].join(', ');
}
