/** @file The values that generation and scoring exchange. */

export interface GenerateOptions {
  maxNewTokens: number;
  /** As `SampleOptions`. */
  temperature?: number | undefined;
  topP?: number | undefined;
  topK?: number | undefined;
  /** Equal seeds, prompts and weights give equal tokens. Row i of a batch draws from stream `seed/i`. */
  seed?: string | number | undefined;
  /** Generation ends before one of these; default: the end-of-turn token. Empty: never. */
  stopTokens?: readonly number[] | undefined;
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
