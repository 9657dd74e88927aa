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

/** @returns mean over prompts of the mean over tokens, nats; prompts that the model answers with nothing count as skipped */
export async function onPolicyRkl(
  model: Engine,
  teacher: Engine,
  prompts: readonly Int32Array[],
  options: OnPolicyOptions,
): Promise<{ rkl: number; n: number }> {
  const { maxNewTokens, temperature, topP, topK, seed, signal } = options;
  const completions = await model.generate(prompts, {
    maxNewTokens,
    temperature,
    topP,
    topLogprobs: topK,
    seed,
    signal,
  });
  const traces = completions.flatMap(({ tokens, top }, i) =>
    top && tokens.length > 0 ? [{ prompt: prompts[i]!, continuation: tokens, top }] : [],
  );
  if (traces.length === 0) return { rkl: Number.POSITIVE_INFINITY, n: 0 };
  const rkl = mean((await teacher.scoreTopK(traces)).map(mean));
  if (!Number.isFinite(rkl))
    throw new QuasarError('evals.not_finite', `on-policy KL is ${rkl} over ${traces.length} prompts`, {
      hint: 'The model gives infinite or undefined logits on its own text.',
    });
  return { rkl, n: traces.length };
}
