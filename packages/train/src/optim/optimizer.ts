/** @file What trains a model: an update in place, and state that a checkpoint keeps. */
import type { Tensor } from '@quasar/tensor';

export interface Optimizer {
  readonly names: readonly string[];
  /** In the order of `names`. */
  readonly parameters: readonly Tensor[];
  /** Updates done. */
  step: number;
  /** One update with gradients in the order of `parameters` (null: no gradient, no change). */
  update(gradients: readonly (Tensor | null)[], lr: number, gradientNorm: number): void;
  /** What a checkpoint needs beside the parameters, by name. */
  state(): Map<string, Tensor>;
  /** Frees the state and takes the flags off the parameters. */
  dispose(): void;
}
