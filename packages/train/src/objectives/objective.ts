/** @file What a batch is trained to do: a loss from hidden states, built from rows that count. */
import { QuasarError } from '@quasar/base';
import {
  type Checkpoint,
  type ForwardOutput,
  forward,
  type ModelConfig,
  type ModelState,
  type Parameters,
  type Positional,
  type TensorSpec,
  vocabularyOperands,
} from '@quasar/model';
import { axpby, type HeadLosses, headLoss, headTopK, noGrad, Tensor, type TopK, weightedSum } from '@quasar/tensor';
import type { Batch } from '../data/batch.ts';

/** One block of an optimizer step: all columns of a batch, or some of them. */
export interface ObjectiveInput {
  batch: Batch;
  /** After the block before, whose gradients ended there. */
  state?: ModelState | undefined;
  /** As of `forward`: less memory, the same bits. */
  recompute?: boolean | undefined;
  positional?: Positional | undefined;
  /** Weight of all predictions of the step: what weighted sums are divided by. */
  weightTotal: number;
  /** This block's share of the tokens of the step: the factor on losses of routers and latent memories. */
  share: number;
}

export interface ObjectiveResult {
  /** What is differentiated: data terms plus losses of routers and latent memories. */
  loss: Tensor;
  /** This block's part of weighted means in nats per token: parts of a step add up. */
  metrics: Record<string, Tensor>;
  /** Tokens per expert of each (loop, mixture layer). */
  counts: Tensor[];
  state: ModelState;
}

export interface Objective {
  /** With the options that change it: a run resumes only with an objective of the same name. */
  name: string;
  /** Digest of what it reads besides the batch, such as a teacher's weights. */
  fingerprint?: string | undefined;
  /** Trained beside the model and discarded with the run. */
  parameters?: { tensors: Parameters; table: ReadonlyMap<string, TensorSpec> } | undefined;
  /** Turns a batch into the one that is trained on. A function of the student's weights, the batch and the seed. */
  prepare?(student: Checkpoint, batch: Batch, seed: string): Promise<Batch>;
  evaluate(student: Pick<Checkpoint, 'config' | 'parameters'>, input: ObjectiveInput): ObjectiveResult;
  dispose?(): void;
}

/** Next-token cross-entropy. */
export function crossEntropyObjective(): Objective {
  return {
    name: 'cross_entropy',
    evaluate({ config, parameters }, input) {
      const out = forward(config, parameters, { ...input.batch, ...input });
      const rows = countedRows(input.batch, config.vocab_size);
      const ce = weightedMean(rowLosses(parameters, out, input.batch, rows, undefined).crossEntropy, rows, input);
      return { loss: withAux(ce, out, input), metrics: { ce }, counts: out.aux.counts, state: out.state };
    },
  };
}

export interface Teacher {
  config: ModelConfig;
  parameters: Parameters;
}

export interface DistilOptions {
  /** Teacher entries per position beside the tail bucket; at most the vocabulary and 1024. */
  topK: number;
  /** Share of cross-entropy; the rest is forward KL. */
  ceShare: number;
}

/** (1 − a)·KL(teacher ‖ student) on top k plus tail bucket, + a·cross-entropy, on the same tokens (architecture §6.1). */
export function distilObjective(teacher: Teacher, settings: DistilOptions): Objective {
  const topIds = Math.min(settings.topK, teacher.config.vocab_size);
  return {
    name: `distil(topK ${topIds}, ceShare ${settings.ceShare})`,
    evaluate({ config, parameters }, input) {
      const { batch } = input;
      const rows = countedRows(batch, config.vocab_size);
      const view = noGrad(() => {
        const { hidden } = forward(teacher.config, teacher.parameters, batch);
        const operands = vocabularyOperands(teacher.parameters, hidden, rows.index);
        return headTopK(operands.rows, operands.head, topIds);
      });
      const out = forward(config, parameters, { ...batch, ...input });
      const losses = rowLosses(parameters, out, batch, rows, view);
      const [ce, kl] = [weightedMean(losses.crossEntropy, rows, input), weightedMean(losses.kl, rows, input)];
      const loss = axpby(settings.ceShare, ce, 1 - settings.ceShare, kl);
      return { loss: withAux(loss, out, input), metrics: { ce, kl }, counts: out.aux.counts, state: out.state };
    },
  };
}

interface Rows {
  index: Int32Array;
  weights: Float32Array;
}

/** Rows with a target and a weight: the head product runs over nothing else. */
function countedRows(batch: Batch, vocabulary: number): Rows {
  const index: number[] = [];
  batch.targets.forEach((target, i) => {
    if (target >= vocabulary)
      throw new QuasarError('data.token_out_of_range', `target ${target} at index ${i}, vocabulary of ${vocabulary}`, {
        hint: 'use the tokenizer of this model',
      });
    if (target >= 0 && (batch.weights[i] as number) > 0) index.push(i);
  });
  // A batch without any: one row of weight 0.
  if (index.length === 0) index.push(0);
  return { index: Int32Array.from(index), weights: Float32Array.from(index, (i) => batch.weights[i] as number) };
}

/** Losses of the rows; from a teacher too where one is given. */
function rowLosses<T extends TopK | undefined>(
  parameters: Parameters,
  { hidden }: ForwardOutput,
  batch: Batch,
  { index }: Rows,
  teacher: T,
): HeadLosses<Tensor, T> {
  const { rows, head } = vocabularyOperands(parameters, hidden, index);
  const ids = Int32Array.from(index, (i) => batch.targets[i] as number);
  return headLoss(rows, head, Tensor.from(rows.device, [ids.length], ids, 'int'), teacher);
}

/** These rows' part of the mean over the step. */
function weightedMean(values: Tensor, { weights }: Rows, { weightTotal }: ObjectiveInput): Tensor {
  const factor = weightTotal > 0 ? 1 / weightTotal : 0;
  return weightedSum(values, Tensor.from(values.device, [weights.length], weights), factor);
}

function withAux(loss: Tensor, { aux }: ForwardOutput, { share }: ObjectiveInput): Tensor {
  return [aux.routerLoss, aux.memoryLoss].reduce<Tensor>(
    (sum, term) => (term ? axpby(1, sum, share, term) : sum),
    loss,
  );
}
