/**
 * @file A worker process: keeps nothing but the model, takes weights from shared memory and leaves gradients there. What it
 * answers is a function of the weights and the order, so it can be killed and replaced at any time.
 */
import { QuasarError } from '@quasar/base';
import { type Checkpoint, Tokenizer, tensorTable } from '@quasar/model';
import { openDevice, openSharedMemory, persist, Tensor } from '@quasar/tensor';
import { batchGradients, disposeGradients, prepare, type Trainee } from '../compute.ts';
import { openObjective } from '../objectives/spec.ts';
import { type Layout, layoutOf, type Place, view } from './layout.ts';
import type { Found, Opening, Order, Reply } from './messages.ts';

class Worker {
  readonly #trainee: Trainee;
  readonly #parameters: Tensor[];
  readonly #layout: Layout;
  readonly #memory: ArrayBuffer;
  readonly #slot: number;
  #version = -1;

  private constructor(trainee: Trainee, { names, path, slot }: Opening) {
    const { checkpoint, objective } = trainee;
    this.#trainee = trainee;
    this.#layout = layoutOf(checkpoint, objective, names);
    this.#parameters = this.#layout.gradients.map(({ tensor }) => tensor);
    for (const tensor of this.#parameters) tensor.requiresGrad = true;
    this.#memory = openSharedMemory(path);
    const { start, bytes } = this.#layout.slots;
    this.#slot = start + slot * bytes;
    this.#read(this.#layout.fixed);
  }

  static async open(opening: Opening): Promise<Worker> {
    const { config, objective, recompute, positional, threads } = opening;
    const device = openDevice('native', { threads });
    const parameters = new Map<string, Tensor>();
    for (const [name, { shape, dtype }] of tensorTable(config))
      parameters.set(name, persist(Tensor.empty(device, shape, dtype ?? 'float')));
    const checkpoint: Checkpoint = { config, parameters, tokenizer: Tokenizer.parse(opening.tokenizer) };
    const opened = await openObjective(objective, checkpoint, device);
    return new Worker({ checkpoint, objective: opened, recompute, positional }, opening);
  }

  async carryOut(order: Order): Promise<Reply> {
    if (order.version !== this.#version) this.#read(this.#layout.changing);
    this.#version = order.version;
    const { checkpoint, objective } = this.#trainee;
    if (order.kind === 'prepare')
      return { kind: 'prepared', work: await prepare(checkpoint, objective, order.work, order.seed) };
    const gradients = await batchGradients(this.#trainee, this.#parameters, order.work, order.whole);
    try {
      const found: Found[] = [];
      for (const [i, gradient] of gradients.found.entries()) {
        if (gradient && 'ids' in gradient) {
          const [ids, rows] = await Promise.all([gradient.ids.read(), gradient.rows.read()]);
          found.push({ ids: ids as Int32Array, rows: rows as Float32Array });
          continue;
        }
        found.push(gradient ? 'whole' : null);
        if (gradient) view(this.#memory, this.#layout.gradients[i] as Place, this.#slot).set(await gradient.read());
      }
      const counts = await Promise.all(
        gradients.counts.map(async (tensor) => ({
          shape: [...tensor.shape],
          values: (await tensor.read()) as Float32Array,
        })),
      );
      return { kind: 'gradients', found, metrics: gradients.metrics, counts };
    } finally {
      disposeGradients(gradients);
    }
  }

  #read(places: readonly Place[]): void {
    for (const place of places) place.tensor.write(view(this.#memory, place));
  }
}

let worker: Worker | null = null;

async function answer(message: Opening | Order): Promise<Reply> {
  try {
    if (message.kind !== 'open') return await (worker as Worker).carryOut(message);
    worker = await Worker.open(message);
    return { kind: 'opened' };
  } catch (error) {
    if (error instanceof QuasarError) {
      const { code, message, hint, data } = error;
      return { kind: 'failed', code, message, hint, data };
    }
    return { kind: 'failed', code: 'train.worker_failed', message: String(error), hint: 'a defect', data: undefined };
  }
}

process.on('message', async (message: Opening | Order) => process.send?.(await answer(message)));
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches every process of a terminal; the run decides when its workers end.
process.on('SIGINT', () => {});
