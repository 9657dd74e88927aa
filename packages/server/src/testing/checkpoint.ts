/** @file A small real checkpoint with random weights, and engines whose words are known beforehand. */
import { Rng } from '@quasar/base';
import { initialParameters, type QuasarConfig, SIZES, saveCheckpoint, type Tokenizer, trainBpe } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import type { TextEngine } from '../models/text-engine.ts';

/** Every byte a token, and a few words. */
export const tokenizer: Tokenizer = trainBpe(['hello world, hello king'], { vocabSize: 280 });

/** Smaller than `nano`, of the same family: answers in milliseconds what nobody should read. */
export async function writeRandomCheckpoint(directory: string, seed = 'server test'): Promise<void> {
  const config: QuasarConfig = {
    ...SIZES.nano,
    vocab_size: tokenizer.vocabSize,
    n_layers: 2,
    d_model: 64,
    n_heads: 1,
    d_ff: 128,
    shared_expert_size: 64,
    routed_expert_size: 32,
    bos_token_id: tokenizer.specials.bos,
    eos_token_id: tokenizer.specials.end,
  };
  const parameters = initialParameters(config, openDevice('auto'), new Rng(seed));
  await saveCheckpoint(directory, { config, parameters, tokenizer }, 'F32');
}

export interface Scripted extends TextEngine {
  isDisposed: boolean;
  /** Signals of the streams that were started. */
  signals: AbortSignal[];
  /** Streams that have ended, in whatever way. */
  ended: number;
}

/**
 * Says `text` token by token, whatever the prompt. With `gate`, it waits for that before each token but the first.
 */
export function scripted(text: string, gate?: () => Promise<void>): Scripted {
  const engine: Scripted = {
    tokenizer,
    isDisposed: false,
    signals: [],
    ended: 0,
    async *stream(_prompt, { maxNewTokens, signal, topLogprobs = 0 }) {
      if (signal) engine.signals.push(signal);
      try {
        const tokens = tokenizer.encode(text).slice(0, maxNewTokens);
        for (const [index, token] of tokens.entries()) {
          if (index > 0) await gate?.();
          const top = Array.from({ length: topLogprobs }, (_, i) => ({ id: (token + i) % 256, logprob: -0.5 - i }));
          yield { token, logprob: -0.5, ...(topLogprobs > 0 && { top }) };
        }
      } finally {
        engine.ended++;
      }
    },
    view: async (texts, k) =>
      texts.map(({ tokens, from }) => {
        const n = tokens.length - from;
        const ids = Int32Array.from({ length: n * k }, (_, i) => (tokens[from + Math.floor(i / k)]! + (i % k)) % 256);
        const logprobs = Float32Array.from({ length: n * k }, (_, i) => -0.5 - (i % k));
        return { top: { k, ids, logprobs, tail: new Float32Array(n) }, logprobs: new Float32Array(n).fill(-0.5) };
      }),
    dispose: () => {
      engine.isDisposed = true;
    },
  };
  return engine;
}
