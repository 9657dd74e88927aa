/** @file A model's KL on the teacher's traces: one number per prompt, the input of every duel, and one per token behind it. */
import { QuasarError } from '@quasar/base';
import type { Engine, Trace } from '@quasar/infer';
import { mean } from './divergence.ts';

/** Traces scored in one call: fixed, because a replay must batch the same way. */
export const SCORE_BATCH = 8;

export interface TraceScores {
  /** Mean over the tokens of a prompt, nats. */
  perPrompt: number[];
  /** Of each continuation token, nats; float32 values. */
  perToken: Float64Array[];
}

/**
 * The tail-bucket KL(teacher || model) on each trace.
 * @param onProgress prompt values so far, after each batch
 * @throws QuasarError `evals.not_finite` when the model's logits give no number; `evals.cancelled`
 */
export async function scoreTraces(
  engine: Engine,
  traces: readonly Trace[],
  options: { signal?: AbortSignal | undefined; onProgress?: (klPerPrompt: readonly number[]) => void } = {},
): Promise<TraceScores> {
  const scores: TraceScores = { perPrompt: [], perToken: [] };
  for (let at = 0; at < traces.length; at += SCORE_BATCH) {
    if (options.signal?.aborted) throw new QuasarError('evals.cancelled', 'scoring was cancelled', { retry: 'later' });
    for (const perToken of await engine.scoreTopK(traces.slice(at, at + SCORE_BATCH))) {
      const kl = mean(perToken);
      if (!Number.isFinite(kl))
        throw new QuasarError('evals.not_finite', `KL of prompt ${scores.perPrompt.length} is ${kl}`, {
          hint: 'The model gives infinite or undefined logits. Check the training run for overflow.',
        });
      scores.perPrompt.push(kl);
      scores.perToken.push(perToken);
    }
    options.onProgress?.(scores.perPrompt);
  }
  return scores;
}
