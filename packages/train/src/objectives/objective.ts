/** @file What a batch is trained to do: a loss from hidden states, built from rows that count. */
import { QuasarError } from '@quasar/base';
import { type ForwardOutput, forward, type ModelConfig, type Parameters, vocabularyOperands } from '@quasar/model';
import {
  add,
  axpby,
  type HeadLosses,
  headLoss,
  headTopK,
  noGrad,
  Tensor,
  type TopK,
  weightedSum,
} from '@quasar/tensor';
import type { Batch } from '../data/batch.ts';

export interface ObjectiveResult {
  /** What is differentiated: data terms plus losses of routers and latent memories. */
  loss: Tensor;
  /** Weighted mean cross-entropy in nats per token, and of the KL where there is one. */
  metrics: Record<string, Tensor>;
  counts: Tensor[];
}

export interface Objective {
  /** With the options that change it: a run resumes only with an objective of the same name. */
  name: string;
  /** @param options.recompute as of `forward`: less memory, the same bits. */
  evaluate(
    config: ModelConfig,
    parameters: Parameters,
    batch: Batch,
    options?: { recompute?: boolean | undefined },
  ): ObjectiveResult;
}

/** Next-token cross-entropy. */
export function crossEntropyObjective(): Objective {
  return {
    name: 'cross_entropy',
    evaluate(config, parameters, batch, options) {
      const out = forward(config, parameters, { ...batch, ...options });
      const rows = countedRows(batch, config.vocab_size);
      const ce = weightedMean(rowLosses(parameters, out, batch, rows, undefined).crossEntropy, rows.weights);
      return { loss: withAux(ce, out), metrics: { ce }, counts: out.aux.counts };
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
    evaluate(config, parameters, batch, options) {
      const rows = countedRows(batch, config.vocab_size);
      const view = noGrad(() => {
        const { hidden } = forward(teacher.config, teacher.parameters, batch);
        const operands = vocabularyOperands(teacher.parameters, hidden, rows.index);
        return headTopK(operands.rows, operands.head, topIds);
      });
      const out = forward(config, parameters, { ...batch, ...options });
      const losses = rowLosses(parameters, out, batch, rows, view);
      const [ce, kl] = [weightedMean(losses.crossEntropy, rows.weights), weightedMean(losses.kl, rows.weights)];
      const loss = axpby(settings.ceShare, ce, 1 - settings.ceShare, kl);
      return { loss: withAux(loss, out), metrics: { ce, kl }, counts: out.aux.counts };
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

function weightedMean(values: Tensor, weights: Float32Array): Tensor {
  const total = weights.reduce((sum, w) => sum + w, 0);
  return weightedSum(values, Tensor.from(values.device, [weights.length], weights), total > 0 ? 1 / total : 0);
}

function withAux(loss: Tensor, { aux }: ForwardOutput): Tensor {
  return [aux.routerLoss, aux.memoryLoss].reduce<Tensor>((sum, term) => (term ? add(sum, term) : sum), loss);
}
