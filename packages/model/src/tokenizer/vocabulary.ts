/** @file What a byte-level tokenizer is, apart from its file format: tokens as bytes, merges by rank, special tokens. */
import type { Merge } from './bpe.ts';

export interface Vocabulary {
  /** Bytes of each token by id; for special tokens the UTF-8 of their text. */
  tokens: readonly Uint8Array[];
  /** In order of rank. */
  merges: readonly Merge[];
  /** Special tokens: text to id. They have no merges and no text encodes to them. */
  specials: ReadonlyMap<string, number>;
  /** Where the file is not one of ours. */
  format?: Format;
}

/** How a tokenizer of others cuts and writes text. */
export interface Format {
  /** Added tokens that are ordinary text, such as `<think>` in Qwen: text to id. Text does encode to them. */
  added: ReadonlyMap<string, number>;
  /** Added tokens, special or not, that are looked for in normalised text. */
  normalized: ReadonlySet<string>;
  /** Unicode normalisation of text before it is cut. */
  normalizer: 'NFC' | null;
  /** The expression that pieces match, one that `split` knows. */
  pattern: string;
  /** A piece that is in the vocabulary as a whole is that token, whatever the merges say. */
  ignoreMerges: boolean;
  /** Its parts of the file, to be written again as they were. */
  file: Readonly<Record<'normalizer' | 'pre_tokenizer' | 'post_processor' | 'decoder', unknown>>;
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
