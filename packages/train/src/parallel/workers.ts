/**
 * @file The gradient of a step from worker processes: each computes whole batches, one process sums them in the order of the
 * step, whoever computed them. So their number changes no bit, and neither does the death of one.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { QuasarError } from '@quasar/base';
import { createSharedMemory, Tensor } from '@quasar/tensor';
import { type Compute, StepSum, type Trainee, wholeOf } from '../compute.ts';
import type { ObjectiveSpec } from '../objectives/spec.ts';
import type { Gradient, Optimizer } from '../optim/optimizer.ts';
import { type Layout, layoutOf, type Place, view } from './layout.ts';
import type { Opening, Order, Reply } from './messages.ts';

export interface WorkerOptions {
  workers: number;
  /** Of the objective that the run has opened. */
  objective: ObjectiveSpec;
  /** Of each worker; default: an equal part of the cores. */
  threads?: number | undefined;
}

/** A worker may die so often in one order before the run fails. */
const MAX_DEATHS = 2;
/** The same from `src` and from `dist`. */
const SCRIPT = fileURLToPath(new URL('../../dist/parallel/worker.js', import.meta.url));

/**
 * For `TrainRun.compute`.
 * @throws QuasarError tensor.no_native, tensor.no_shared_memory, train.worker_failed; what a worker throws
 */
export async function workerCompute(
  trainee: Trainee,
  optimizer: Pick<Optimizer, 'names'>,
  options: WorkerOptions,
): Promise<Compute> {
  const { checkpoint, objective, recompute, positional } = trainee;
  const layout = layoutOf(checkpoint, objective, optimizer.names);
  const { start, bytes } = layout.slots;
  const memory = createSharedMemory(start + options.workers * bytes);
  await write(memory.buffer, layout.fixed);
  const opening = (slot: number): Opening => ({
    kind: 'open',
    ...{ path: memory.path, slot, config: checkpoint.config, tokenizer: checkpoint.tokenizer.toJson() },
    ...{ objective: options.objective, names: optimizer.names, recompute, positional },
    threads: options.threads ?? Math.max(1, Math.floor(threadsOf(trainee) / options.workers)),
  });
  const workers = Array.from({ length: options.workers }, (_, slot) => new WorkerProcess(opening(slot)));
  const close = () => {
    for (const worker of workers) worker.close();
    rmSync(memory.path, { force: true });
  };
  try {
    await Promise.all(workers.map((worker) => worker.open()));
  } catch (error) {
    close();
    throw error;
  }
  let version = 0;
  return {
    async gradients(works, seed) {
      version++;
      await write(memory.buffer, layout.changing);
      const prepared = objective.prepare
        ? await inOrder(workers, works, async (worker, work, i) => {
            const reply = await worker.ask({ kind: 'prepare', version, work, seed: `${seed}/${i}` });
            return reply.kind === 'prepared' ? reply.work : work;
          })
        : works;
      const whole = wholeOf(prepared);
      const sum = new StepSum();
      const turns = new Turns(prepared.length);
      try {
        await inOrder(workers, prepared, async (worker, work, i) => {
          try {
            const reply = await worker.ask({ kind: 'gradients', version, work, whole });
            await turns.wait(i);
            // The slot is free for this worker's next batch when this returns.
            if (reply.kind === 'gradients') sum.add(taken(memory.buffer, layout, worker.slot, reply));
            turns.pass(i);
          } catch (error) {
            turns.fail(error);
            throw error;
          }
        });
        return sum.take();
      } catch (error) {
        sum.dispose();
        throw error;
      }
    },
    async dispose() {
      close();
    },
  };
}

function threadsOf({ checkpoint }: Trainee): number {
  for (const { device } of checkpoint.parameters.values()) return device.threads;
  return 1;
}

async function write(buffer: ArrayBuffer, places: readonly Place[]): Promise<void> {
  for (const place of places) view(buffer, place).set(await place.tensor.read());
}

/** A worker's answer on the device of the run. */
function taken(
  buffer: ArrayBuffer,
  { gradients, slots }: Layout,
  slot: number,
  { found, metrics, counts }: Extract<Reply, { kind: 'gradients' }>,
) {
  const made = gradients.map((place, i): Gradient => {
    const { device, shape } = place.tensor;
    const given = found[i] ?? null;
    if (given === null) return null;
    if (given === 'whole') return Tensor.from(device, shape, view(buffer, place, slots.start + slot * slots.bytes));
    const { ids, rows } = given;
    const width = rows.length / ids.length;
    return {
      ids: Tensor.from(device, [ids.length], ids, 'int'),
      rows: Tensor.from(device, [ids.length, width], rows),
    };
  });
  const device = (gradients[0] as Place).tensor.device;
  return { found: made, metrics, counts: counts.map(({ shape, values }) => Tensor.from(device, shape, values)) };
}

/** Gives each free worker the next item; results in the order of the items. */
async function inOrder<T, R>(
  workers: readonly WorkerProcess[],
  items: readonly T[],
  body: (worker: WorkerProcess, item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  let failure: { error: unknown } | null = null;
  await Promise.all(
    workers.map(async (worker) => {
      while (next < items.length && !failure) {
        const i = next++;
        try {
          results[i] = await body(worker, items[i] as T, i);
        } catch (error) {
          failure ??= { error };
        }
      }
    }),
  );
  const failed = failure as { error: unknown } | null;
  if (failed) throw failed.error;
  return results;
}

/** Lets item i go on after all before it. */
class Turns {
  readonly #turns: PromiseWithResolvers<void>[];

  constructor(count: number) {
    this.#turns = Array.from({ length: count + 1 }, () => deferred());
    this.#turns[0]?.resolve();
  }

  wait(i: number): Promise<void> {
    return (this.#turns[i] as PromiseWithResolvers<void>).promise;
  }

  pass(i: number): void {
    this.#turns[i + 1]?.resolve();
  }

  fail(error: unknown): void {
    for (const { reject } of this.#turns) reject(error);
  }
}

interface PromiseWithResolvers<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

function deferred(): PromiseWithResolvers<void> {
  let resolve: () => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // One that nobody waits for must not end the process.
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** One worker, started again when it dies. */
class WorkerProcess {
  readonly #opening: Opening;
  #child: ChildProcess | null = null;

  constructor(opening: Opening) {
    this.#opening = opening;
  }

  get slot(): number {
    return this.#opening.slot;
  }

  /** Starts the process where there is none, and again when it dies. @throws QuasarError train.worker_failed; what it throws */
  async open(): Promise<void> {
    await this.#untilAnswered(null);
  }

  /** @throws as `open` */
  ask(order: Order): Promise<Reply> {
    return this.#untilAnswered(order);
  }

  async #untilAnswered(order: Order | null): Promise<Reply> {
    for (let deaths = 0; ; deaths++) {
      try {
        const opened = this.#child ? null : await this.#start();
        return opened && !order ? opened : await this.#send(order as Order);
      } catch (error) {
        if (!(error instanceof WorkerDied)) throw error;
        if (deaths < MAX_DEATHS) continue;
        throw new QuasarError('train.worker_failed', `a worker process ended: ${error.message}`, {
          hint: 'use fewer workers or a smaller batch if memory is short',
          cause: error,
        });
      }
    }
  }

  #start(): Promise<Reply> {
    const child = fork(SCRIPT, { serialization: 'advanced' });
    this.#child = child;
    child.once('exit', () => {
      if (this.#child === child) this.#child = null;
    });
    return this.#send(this.#opening);
  }

  close(): void {
    const child = this.#child;
    this.#child = null;
    child?.disconnect();
  }

  #send(message: Opening | Order): Promise<Reply> {
    const child = this.#child as ChildProcess;
    return new Promise((resolve, reject) => {
      const done = () => {
        child.off('message', onMessage);
        child.off('exit', onExit);
      };
      const onMessage = (reply: Reply) => {
        done();
        if (reply.kind !== 'failed') resolve(reply);
        else {
          const { code, message, hint, data } = reply;
          reject(new QuasarError(code, message, { ...(hint === undefined ? {} : { hint }), data }));
        }
      };
      const onExit = (code: number | null, signal: string | null) => {
        done();
        reject(new WorkerDied(signal ? `signal ${signal}` : `exit code ${code}`));
      };
      child.on('message', onMessage);
      child.on('exit', onExit);
      child.send(message, (error) => {
        if (!error) return;
        // Its pipe closes before the news of its end comes.
        if (this.#child === child) this.#child = null;
        child.kill('SIGKILL');
        done();
        reject(new WorkerDied(error.message));
      });
    });
  }
}

class WorkerDied extends Error {}
