/**
 * @file The gradient of an optimizer step from its batches: block by block within a batch, batch by batch within a step, always
 * summed in that order, so that it does not matter where a batch is computed.
 */
import type { Checkpoint, ModelState, Positional } from '@quasar/model';
import { gradients, inBursts, noGrad, scope, Tensor } from '@quasar/tensor';
import { type Batch, columns, weightOf } from './data/batch.ts';
import type { Objective } from './objectives/objective.ts';
import type { Gradient } from './optim/optimizer.ts';

/** A batch, and how it is cut: gradients end every `blockTokens` columns, the state goes on. Default: not at all. */
export interface Work {
  batch: Batch;
  blockTokens?: number | undefined;
}

export interface StepGradients {
  /** In the order of the parameters; owned by the caller. */
  found: Gradient[];
  /** Of the step: means in nats per token; `loss` is what was differentiated. */
  metrics: Record<string, number>;
  /** Tokens per expert of each (block, loop, mixture layer); owned by the caller. */
  counts: Tensor[];
}

/** Where gradients are computed. */
export interface Compute {
  /** @param seed of what an objective draws; a batch draws from `seed/<its number>` */
  gradients(works: readonly Work[], seed: string): Promise<StepGradients>;
  dispose(): Promise<void>;
}

/** What both ends of a step need of a run. */
export interface Trainee {
  checkpoint: Checkpoint;
  objective: Objective;
  recompute?: boolean | undefined;
  positional?: Positional | undefined;
}

/** In this process, one batch after the other. */
export function localCompute(trainee: Trainee, parameters: readonly Tensor[]): Compute {
  return {
    async gradients(works, seed) {
      const prepared = await prepareAll(trainee, works, seed);
      const whole = wholeOf(prepared);
      const sum = new StepSum();
      try {
        for (const work of prepared) sum.add(await batchGradients(trainee, parameters, work, whole));
        return sum.take();
      } catch (error) {
        sum.dispose();
        throw error;
      }
    },
    async dispose() {},
  };
}

/** What an objective makes of batches before they are trained on. */
async function prepareAll({ checkpoint, objective }: Trainee, works: readonly Work[], seed: string): Promise<Work[]> {
  const prepared: Work[] = [];
  for (const [i, work] of works.entries()) prepared.push(await prepare(checkpoint, objective, work, `${seed}/${i}`));
  return prepared;
}

export async function prepare(student: Checkpoint, objective: Objective, work: Work, seed: string): Promise<Work> {
  return objective.prepare ? { ...work, batch: await objective.prepare(student, work.batch, seed) } : work;
}

/** Of a whole step: what its batches are shares of. */
export interface Whole {
  weightTotal: number;
  tokens: number;
}

export function wholeOf(works: readonly Work[]): Whole {
  const whole = { weightTotal: 0, tokens: 0 };
  for (const { batch } of works) {
    whole.weightTotal += weightOf(batch);
    whole.tokens += batch.tokens.length;
  }
  return whole;
}

/** What one batch adds to the gradient of its step. */
export async function batchGradients(
  { checkpoint, objective, recompute, positional }: Trainee,
  parameters: readonly Tensor[],
  { batch, blockTokens = batch.T }: Work,
  whole: Whole,
): Promise<StepGradients> {
  const sum = new StepSum();
  const { device } = [...checkpoint.parameters.values()][0] as Tensor;
  let state: ModelState | undefined;
  try {
    for (let from = 0; from < batch.T; from += blockTokens) {
      const isLast = from + blockTokens >= batch.T;
      const block = blockTokens < batch.T ? columns(batch, from, Math.min(blockTokens, batch.T - from)) : batch;
      const { found, metrics, counts, after } = inBursts(device, () =>
        scope(() => {
          const out = gradients(parameters, () => {
            const share = block.tokens.length / whole.tokens;
            const options = { recompute, positional, weightTotal: whole.weightTotal, share };
            const { state: after, ...rest } = objective.evaluate(checkpoint, { ...options, batch: block, state });
            return { ...rest, after: isLast ? null : after };
          });
          const { loss, metrics, counts, after } = out.value;
          const found = out.gradients.map((gradient, i) => gradient ?? out.rowGradients[i] ?? null);
          return { found, metrics: { loss, ...metrics }, counts, after };
        }),
      );
      state?.dispose();
      state = after ?? undefined;
      // Gradients end here.
      for (const tensor of state?.tensors.values() ?? []) tensor.requiresGrad = false;
      sum.add({ found, metrics: await readMetrics(metrics), counts });
      disposeAll(Object.values(metrics));
      // Lets signals, messages and timers through.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return sum.take();
  } catch (error) {
    sum.dispose();
    throw error;
  } finally {
    state?.dispose();
  }
}

/** Sums parts of a step in the order they come. */
export class StepSum {
  #found: Gradient[] | null = null;
  readonly #metrics: Record<string, number> = {};
  readonly #counts: Tensor[] = [];

  /** Takes the tensors of `part`. */
  add({ found, metrics, counts }: StepGradients): void {
    this.#found = this.#found === null ? unshared(found) : this.#found.map((sum, i) => added(sum, found[i] ?? null));
    for (const [key, value] of Object.entries(metrics)) this.#metrics[key] = (this.#metrics[key] ?? 0) + value;
    this.#counts.push(...counts);
  }

  take(): StepGradients {
    return { found: this.#found ?? [], metrics: this.#metrics, counts: this.#counts };
  }

  dispose(): void {
    disposeGradients(this.take());
  }
}

/** Two parameters may have the same gradient in the same memory; sums need memory of their own. */
function unshared(found: readonly Gradient[]): Gradient[] {
  const seen = new Set<unknown>();
  return found.map((gradient) => {
    if (!gradient || 'ids' in gradient) return gradient;
    const isShared = seen.has(gradient.buffer);
    seen.add(gradient.buffer);
    if (!isShared) return gradient;
    const copy = Tensor.empty(gradient.device, gradient.shape);
    gradient.device.run('copy_blocks', [copy.buffer, gradient.buffer], [1, copy.size, copy.size, 0, copy.size, 0, 0]);
    return copy;
  });
}

function added(sum: Gradient, part: Gradient): Gradient {
  if (!sum || !part) return sum ?? part;
  if ('ids' in sum || 'ids' in part) {
    if (!('ids' in sum && 'ids' in part)) throw new Error('a parameter has gradients of rows and of the whole');
    const ids = joined(sum.ids, part.ids, [sum.ids.size + part.ids.size]);
    const rows = joined(sum.rows, part.rows, [ids.size, part.rows.dim(-1)]);
    disposeAll([sum.ids, sum.rows, part.ids, part.rows]);
    return { ids, rows };
  }
  sum.device.run('axpby', [sum.buffer, sum.buffer, part.buffer], [sum.size, 1, 1]);
  part.dispose();
  return sum;
}

/** One after the other. */
function joined(a: Tensor, b: Tensor, shape: number[]): Tensor {
  const out = Tensor.empty(a.device, shape, a.dtype);
  let at = 0;
  for (const { buffer, size } of [a, b]) {
    a.device.run('copy_blocks', [out.buffer, buffer], [1, size, size, at, size, 0, 0]);
    at += size;
  }
  return out;
}

/** Weighted means of an objective over batches as they are, which are not trained on; nats per token. */
export async function measure(trainee: Trainee, works: readonly Work[]): Promise<Record<string, number>> {
  const { checkpoint, objective, positional } = trainee;
  const sums: Record<string, number> = {};
  const { weightTotal } = wholeOf(works);
  for (const { batch, blockTokens = batch.T } of works) {
    let state: ModelState | undefined;
    for (let from = 0; from < batch.T; from += blockTokens) {
      const block = columns(batch, from, Math.min(blockTokens, batch.T - from));
      const { metrics, after } = scope(() =>
        noGrad(() => {
          const input = { batch: block, state, positional, weightTotal, share: 0 };
          const { metrics, state: after } = objective.evaluate(checkpoint, input);
          return { metrics, after };
        }),
      );
      state?.dispose();
      state = after;
      for (const [key, value] of Object.entries(await readMetrics(metrics))) sums[key] = (sums[key] ?? 0) + value;
      disposeAll(Object.values(metrics));
    }
    state?.dispose();
  }
  return sums;
}

async function readMetrics(metrics: Record<string, Tensor>): Promise<Record<string, number>> {
  return Object.fromEntries(
    await Promise.all(Object.entries(metrics).map(async ([key, tensor]) => [key, await tensor.item()] as const)),
  );
}

export function disposeGradients({ found, counts }: Pick<StepGradients, 'found' | 'counts'>): void {
  const tensors = found.flatMap((gradient) =>
    gradient && 'ids' in gradient ? [gradient.ids, gradient.rows] : [gradient],
  );
  disposeAll([...tensors, ...counts]);
}

/** Some may be views of one buffer. */
export function disposeAll(tensors: readonly (Tensor | null)[]): void {
  const byBuffer = new Map(tensors.flatMap((tensor) => (tensor ? [[tensor.buffer, tensor] as const] : [])));
  for (const tensor of byBuffer.values()) tensor.dispose();
}
