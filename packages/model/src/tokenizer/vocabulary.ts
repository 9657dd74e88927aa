/** @file What a byte-level tokenizer is, apart from its file format: tokens as bytes, merges by rank, special tokens. */
import type { Merge } from './bpe.ts';

export interface Vocabulary {
  /** Bytes of each token by id; for special tokens the UTF-8 of their text. */
  tokens: readonly Uint8Array[];
  /** In order of rank. */
  merges: readonly Merge[];
  /** Special tokens: text to id. They have no merges and no text encodes to them. */
  specials: ReadonlyMap<string, number>;
}

/** The special tokens of the chat template, in the order in which a trained vocabulary ends. */
export const SPECIAL_TOKENS = {
  bos: '<|bos|>',
  end: '<|end|>',
  system: '<|system|>',
  user: '<|user|>',
  assistant: '<|assistant|>',
  tool: '<|tool|>',
  pad: '<|pad|>',
} as const;
