/** @file What trains a model: an update in place, and state that a checkpoint keeps. */
import type { RowGradient, Tensor } from '@quasar/tensor';

/** Of a parameter, or of some rows of a table; null: no gradient, no change. */
export type Gradient = Tensor | RowGradient | null;

export interface Optimizer {
  readonly names: readonly string[];
  /** In the order of `names`. */
  readonly parameters: readonly Tensor[];
  /** Updates done. */
  step: number;
  /** One update with gradients in the order of `parameters`. */
  update(gradients: readonly Gradient[], lr: number, gradientNorm: number): void;
  /** What a checkpoint needs beside the parameters, by name. */
  state(): Map<string, Tensor>;
  /** Frees the state and takes the flags off the parameters. */
  dispose(): void;
}
