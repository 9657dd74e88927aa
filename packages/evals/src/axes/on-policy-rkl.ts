/**
 * @file On-policy reverse KL: the model talks, the teacher judges every token of it.
 *
 * The model continues prompts by sampling and reports its own top k per token; the teacher scores the same tokens,
 * which gives KL(model || teacher) with a tail bucket. It punishes what forward KL on teacher text cannot see: where a
 * model goes once it has left the teacher's path. Source: subnet.md section 12; relative axis best / rkl.
 */
import { QuasarError } from '@quasar/base';
import type { Engine } from '@quasar/infer';
import { mean } from '../divergence.ts';

export interface OnPolicyOptions {
  maxNewTokens: number;
  temperature: number;
  topP: number;
  topK: number;
  seed: string;
  signal?: AbortSignal | undefined;
}

/** Prompts continued in one batch: fixed, because a replay must batch the same way. */
export const ROLLOUT_BATCH = 16;

/**
 * One batch of rollouts, at most `ROLLOUT_BATCH`.
 * @returns per prompt the mean over tokens, nats; null for a prompt that the model answers with nothing
 * @throws QuasarError `evals.not_finite`, `infer.cancelled`
 */
export async function rolloutRkl(
  model: Engine,
  teacher: Engine,
  prompts: readonly Int32Array[],
  options: OnPolicyOptions,
): Promise<(number | null)[]> {
  const { maxNewTokens, temperature, topP, topK, seed, signal } = options;
  const completions = await model.generate(prompts, {
    ...{ maxNewTokens, temperature, topP, topLogprobs: topK, seed, signal },
  });
  const traces = completions.flatMap(({ tokens, top }, i) =>
    top && tokens.length > 0 ? [{ prompt: prompts[i]!, continuation: tokens, top }] : [],
  );
  const scores = (await teacher.scoreTopK(traces)).map(mean);
  const bad = scores.find((rkl) => !Number.isFinite(rkl));
  if (bad !== undefined)
    throw new QuasarError('evals.not_finite', `on-policy KL is ${bad} in a batch of ${traces.length} prompts`, {
      hint: 'The model gives infinite or undefined logits on its own text.',
    });
  let scored = 0;
  return completions.map(({ tokens }) => (tokens.length > 0 ? scores[scored++]! : null));
}

/** Mean over the prompts that were answered; null when none was. */
export function onPolicyRkl(perPrompt: readonly (number | null)[]): { rkl: number | null; n: number } {
  const values = perPrompt.filter((rkl) => rkl !== null);
  return { rkl: values.length === 0 ? null : mean(values), n: values.length };
}
