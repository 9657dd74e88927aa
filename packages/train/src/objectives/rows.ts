/** @file The predictions of a block that count, and means over them. */
import { QuasarError } from '@quasar/base';
import type { ForwardOutput } from '@quasar/model';
import { axpby, Tensor, weightedSum } from '@quasar/tensor';
import type { Batch } from '../data/batch.ts';
import type { ObjectiveInput } from './objective.ts';

export interface Rows {
  /** b·T + t of each. */
  index: Int32Array;
  weights: Float32Array;
}

/**
 * Rows with a target and a weight: the head product runs over nothing else. At least one, which may weigh nothing.
 * @throws QuasarError data.token_out_of_range
 */
export function countedRows(batch: Batch, vocabulary: number): Rows {
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

/** Next tokens of the rows, for the losses of a head. */
export function targetsOf({ index }: Rows, batch: Batch, { device }: Tensor): Tensor {
  const ids = Int32Array.from(index, (i) => batch.targets[i] as number);
  return Tensor.from(device, [ids.length], ids, 'int');
}

/** These rows' part of the mean over the step, of one value per row. */
export function weightedMean(values: Tensor, weights: Float32Array, { weightTotal }: ObjectiveInput): Tensor {
  const factor = weightTotal > 0 ? 1 / weightTotal : 0;
  return weightedSum(values, Tensor.from(values.device, [weights.length], weights), factor);
}

/** With the losses of routers and latent memories. */
export function withAux(loss: Tensor, { aux }: ForwardOutput, { share }: ObjectiveInput): Tensor {
  return [aux.routerLoss, aux.memoryLoss].reduce<Tensor>(
    (sum, term) => (term ? axpby(1, sum, share, term) : sum),
    loss,
  );
}
