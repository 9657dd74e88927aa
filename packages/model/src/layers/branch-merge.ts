/**
 * @file How a branch of linear attention joins, or replaces, softmax attention in a hybrid layer (architecture §2.2, §3.12):
 *   gqa + σ(α)·A(c ⊙ g·branch),  A(y) = y + (a/r) U D y;  alone: A(c ⊙ g·branch)
 * `branch_output_gain` is divided out again in public code, and shares of several branches are 1 where there is one.
 */
import { add, axpby, linear, scaleColumns, sigmoid, type Tensor } from '@quasar/tensor';
import { scaleBy } from './anchor.ts';
import type { LayerContext } from './context.ts';

export interface AdapterOptions {
  /** 0: no adapter. */
  rank: number;
  alpha: number;
}

/** @param softmax output of softmax attention, [B, T, D]; null where the branch replaces it */
export function mergeBranch(
  branch: Tensor,
  softmax: Tensor | null,
  c: LayerContext<unknown>,
  { rank, alpha }: AdapterOptions,
): Tensor {
  const weight = (name: string) => c.weight(`attention.${name}`);
  // The adapter is linear: every factor goes into the one per channel, [D].
  let factors = scaleBy(weight('branch_output_channel_gain'), weight('branch_global_output_gain'));
  if (softmax) factors = scaleBy(factors, sigmoid(weight('replace_alpha_raw')));
  let y = scaleColumns(branch, factors);
  if (rank > 0) {
    const low = linear(y, weight('branch_output_adapter_down.weight')); // [B, T, D] -> [B, T, r]
    y = axpby(1, y, alpha / rank, linear(low, weight('branch_output_adapter_up.weight')));
  }
  return softmax ? add(softmax, y) : y;
}
