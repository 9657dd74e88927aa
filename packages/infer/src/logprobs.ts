/** @file How likely a given text is, token by token, for texts of any length: blocks with a carried state. */
import { QuasarError } from '@quasar/base';
import { forward, type ModelConfig, type ModelState, type Parameters, vocabularyOperands } from '@quasar/model';
import { headLoss, scope, Tensor } from '@quasar/tensor';
import { BLOCK_TOKENS } from './batches.ts';
import { breathe } from './breathe.ts';

export interface LogprobsOptions {
  signal?: AbortSignal | undefined;
  /** Called after every block with the count of log-probabilities so far; the next block waits for what it returns. */
  progress?: ((done: number) => unknown) | undefined;
}

/**
 * ln p(token | tokens before it), nats, for every token but the first. Beside the result, memory does not grow with the
 * length. @throws QuasarError model.token_out_of_range, infer.cancelled
 */
export async function tokenLogprobs(
  config: ModelConfig,
  parameters: Parameters,
  tokens: Int32Array,
  options: LogprobsOptions,
): Promise<Float32Array> {
  checkTokens('logprobs', tokens, config.vocab_size);
  const predicted = Math.max(0, tokens.length - 1);
  const logprobs = new Float32Array(predicted);
  let state: ModelState | undefined;
  try {
    for (let from = 0; from < predicted; from += BLOCK_TOKENS) {
      await breathe(options.signal);
      const T = Math.min(BLOCK_TOKENS, predicted - from);
      const { loss, after } = scope(() => {
        const block = { tokens: tokens.subarray(from, from + T), B: 1, T, state };
        const { hidden, state: after } = forward(config, parameters, block);
        const { rows, head } = vocabularyOperands(parameters, hidden);
        const next = Tensor.from(hidden.device, [T], tokens.subarray(from + 1, from + T + 1), 'int');
        return { loss: headLoss(rows, head, next, undefined).crossEntropy, after };
      });
      state?.dispose();
      state = after;
      logprobs.set(await loss.read(), from);
      loss.dispose();
      await options.progress?.(from + T);
    }
  } finally {
    state?.dispose();
  }
  return logprobs.map((loss) => -loss);
}

/** Kernels read targets unchecked, and the last token is only ever a target. @throws QuasarError model.token_out_of_range */
export function checkTokens(what: string, tokens: Int32Array, vocabulary: number): void {
  const at = tokens.findIndex((id) => id < 0 || id >= vocabulary);
  if (at < 0) return;
  const message = `${what}: token ${tokens[at]} at index ${at}, the vocabulary has ${vocabulary}`;
  throw new QuasarError('model.token_out_of_range', message, { hint: 'use the tokenizer of this model' });
}
