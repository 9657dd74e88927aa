/** @file Given texts through a model, block by block with a carried state, and what the caller wants of chosen positions. */
import { forward, type ModelConfig, type ModelState, type Parameters } from '@quasar/model';
import { scope, type Tensor } from '@quasar/tensor';
import { BLOCK_TOKENS } from './batches.ts';

/** A prediction: the token `token` of text `text` makes it; `at` is the caller's own number for it. */
export interface TextRow {
  text: number;
  token: number;
  at: number;
}

/**
 * All texts go through the model in one batch, padded on the right, in blocks: memory does not grow with their length.
 * @param rows predictions that are wanted
 * @param enqueue starts the work on a block's predictions: rows `index` of hidden [B, T, D]; called inside of a scope
 * @param collect takes its result home and frees it
 */
export async function overTextRows<T extends Tensor | { [name: string]: Tensor }>(
  config: ModelConfig,
  parameters: Parameters,
  texts: readonly Int32Array[],
  rows: readonly TextRow[],
  enqueue: (hidden: Tensor, index: Int32Array, rows: readonly TextRow[]) => T,
  collect: (result: T, rows: readonly TextRow[]) => Promise<void>,
): Promise<void> {
  const T = Math.max(...texts.map((text) => text.length));
  // What follows a row's own tokens is never looked at: any id will do.
  const tokens = new Int32Array(texts.length * T);
  texts.forEach((text, b) => {
    tokens.set(text, b * T);
  });
  const width = Math.max(1, Math.floor(BLOCK_TOKENS / texts.length));
  const last = rows.reduce((most, { token }) => Math.max(most, token), -1);
  let state: ModelState | undefined;
  try {
    for (let from = 0; from <= last; from += width) {
      const block = { B: texts.length, T: Math.min(width, last + 1 - from), state };
      const here = rows.filter(({ token }) => token >= from && token < from + width);
      const { result, after } = scope(() => {
        const out = forward(config, parameters, { ...block, tokens: columns(tokens, texts.length, from, block.T) });
        const index = Int32Array.from(here, ({ text, token }) => text * block.T + token - from);
        return { result: here.length > 0 ? enqueue(out.hidden, index, here) : null, after: out.state };
      });
      state?.dispose();
      state = after;
      if (result) await collect(result, here);
    }
  } finally {
    state?.dispose();
  }
}

export function wholeText(prompt: Int32Array, continuation: Int32Array): Int32Array {
  const text = new Int32Array(prompt.length + continuation.length);
  text.set(prompt);
  text.set(continuation, prompt.length);
  return text;
}

/** Columns [from, from + width) of tokens [B, T]. */
function columns(tokens: Int32Array, B: number, from: number, width: number): Int32Array {
  const T = tokens.length / B;
  const out = new Int32Array(B * width);
  for (let b = 0; b < B; b++) out.set(tokens.subarray(b * T + from, b * T + from + width), b * width);
  return out;
}
