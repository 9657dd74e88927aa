/** @file What a layer sees: its weights, its slot of the state, positions. */
import type { Positions, Rotation, Tensor } from '@quasar/tensor';

export interface LayerContext<C> {
  config: C;
  /** Position of each token in its segment. */
  positions: Positions | null;
  /** Rotation by position; null after positions were dropped. */
  rotation: Rotation | null;
  /** Tokens in the caches that `load` gives, where these have room for the block; absent: they are as long as they say. */
  cached?: number | undefined;
  /** Tokens that recurrences compute at a time; absent: what is fastest. */
  chunk?: number | undefined;
  /** Losses that only training needs are wanted. */
  auxLosses?: boolean | undefined;
  /** Takes what a branch gave and what it should give; absent: the branch joins the stream. */
  mimic?: ((attention: Tensor, branch: Tensor) => void) | undefined;
  /** A weight of this layer by its name under `model.layers.i.`. */
  weight(name: string): Tensor;
  /** This layer's part of the state from the block before; null at the start. */
  load(name: string): Tensor | null;
  save(name: string, tensor: Tensor): void;
}
