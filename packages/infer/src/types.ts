/** @file The values that generation and scoring exchange. */

export interface GenerateOptions {
  maxNewTokens: number;
  /** As `SampleOptions`. */
  temperature?: number | undefined;
  topP?: number | undefined;
  topK?: number | undefined;
  /** Equal seeds, prompts and weights give equal tokens. Row i of a batch draws from stream `seed/i`. */
  seed?: string | number | undefined;
  /** In place of `seed`, one per prompt: each draws as it would alone with that seed. */
  seeds?: readonly (string | number)[] | undefined;
  /** Generation ends before one of these; default: the end-of-turn token. Empty: never. */
  stopTokens?: readonly number[] | undefined;
  /** Generation ends after the stop token, which is part of it, instead of before. Default false. */
  includeStop?: boolean | undefined;
  /** Report this many of the most likely tokens at each step. */
  topLogprobs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A model's view of n positions: its k most likely ids, best first, their log-probabilities, and the mass outside. */
export interface TopK {
  k: number;
  /** [n · k] */
  ids: Int32Array;
  /** [n · k] */
  logprobs: Float32Array;
  /** [n] */
  tail: Float32Array;
}

export interface Completion {
  tokens: Int32Array;
  finishReason: 'stop' | 'length';
  /** Of each token, [n]. */
  logprobs: Float64Array;
  /** With `topLogprobs`: one position per token. */
  top?: TopK;
}

export interface StreamedToken {
  token: number;
  logprob: number;
  top?: { id: number; logprob: number }[];
}

/** A teacher's continuation of a prompt and its view of every position of it. */
export interface Trace {
  prompt: Int32Array;
  continuation: Int32Array;
  top: TopK;
}

/** A text of which a model's view is wanted, from token `from` on; at least 1, since nothing predicts the first. */
export interface GivenText {
  tokens: Int32Array;
  from: number;
}

/** A model's view of each token of a text from `from` on, and ln p of the token itself. */
export interface TextView {
  top: TopK;
  /** [tokens - from], nats. */
  logprobs: Float32Array;
}
