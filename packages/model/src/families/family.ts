/** @file What a family of models is: its configs, its tensors, its forward pass. Whatever is above works on any family. */
import type { Result } from '@quasar/base';
import type { SmebuSettings } from '@quasar/tensor';
import type { Block, BlockOptions, BlockOutput } from '../block.ts';
import type { NameMap } from '../checkpoint/names.ts';
import type { Parameters } from '../parameters.ts';
import type { TensorSpec } from '../tensor-table.ts';
import type { Tokenizer } from '../tokenizer/index.ts';

/** What every config has, whatever its family. */
export interface AnyConfig {
  model_type: string;
  vocab_size: number;
}

/** What a sequence costs beside the products with the weights. */
export interface SequenceCost {
  /** Passes over the layers per token. */
  loops: number;
  /** Bytes that a sequence carries from block to block, however long it is. */
  stateBytes: number;
  /** Bytes that every token adds. */
  cacheBytesPerToken: number;
  /** Operations of the recurrences per token, in chunks of 64. */
  recurrenceFlops: number;
  /** Operations of softmax attention per token and token before it. */
  contextFlops: number;
}

/** Where the selection biases of mixture layers lie, and how they move once per training step (SMEBU, architecture §3.9.3). */
export interface ExpertBias {
  settings: SmebuSettings;
  /** In the order of the mixture layers. Momentum and running overload are null where checkpoints of the family have none. */
  buffers: { layers: number; bias: string; momentum: string | null; overload: string | null }[];
}

export interface Family<C extends AnyConfig> {
  /** Untrusted JSON: every issue at once. It bounds what a config can make a reader allocate. */
  parseConfig(json: unknown): Result<C>;
  /** Every tensor of a checkpoint in file order. */
  tensorTable(config: C): Map<string, TensorSpec>;
  /** The table of a fresh model for this tokenizer, where it depends on one. */
  freshTable?(config: C, tokenizer: Tokenizer): Map<string, TensorSpec>;
  /** Share of a routed expert tensor that one token touches. */
  expertShare(config: C): number;
  /** Absent: experts are chosen without a bias, or there are none. */
  expertBias?(config: C): ExpertBias;
  /** The config for a tokenizer whose documents begin and end with these tokens. */
  withTokens(config: C, tokens: { begin: number; end: number }): C;
  /** Layers of a kind, for people: `16 quasar, 8 gla`. */
  layers(config: C): Record<string, number>;
  sequenceCost(config: C): SequenceCost;
  /** How public files may cut the tensors of the table otherwise. */
  names?: NameMap;
  forwardBlock(config: C, parameters: Parameters, block: Block, options: BlockOptions): BlockOutput;
}
