/** @file Teacher traces: what the teacher says after a prompt, and what it thought at every token of it. */
import { QuasarError } from '@quasar/base';
import type { Engine } from './engine.ts';
import type { Trace } from './types.ts';

export interface TraceOptions {
  /** Tokens of each continuation, exactly. */
  continuationTokens: number;
  topK: number;
  temperature: number;
  topP: number;
  seed: string;
  signal?: AbortSignal | undefined;
}

/**
 * Samples a continuation of fixed length for each prompt: past the end of a turn the teacher goes on with the next one.
 * @throws QuasarError infer.bad_top_k; as `Engine.generate`
 */
export async function makeTraces(
  teacher: Engine,
  prompts: readonly Int32Array[],
  options: TraceOptions,
): Promise<Trace[]> {
  const completions = await teacher.generate(prompts, {
    maxNewTokens: options.continuationTokens,
    temperature: options.temperature,
    topP: options.topP,
    seed: options.seed,
    stopTokens: [],
    topLogprobs: options.topK,
    signal: options.signal,
  });
  return completions.map(({ tokens, top }, i) => {
    if (!top) throw new QuasarError('infer.bad_top_k', `makeTraces: topK is ${options.topK}, expected at least 1`);
    return { prompt: prompts[i] as Int32Array, continuation: tokens, top };
  });
}
