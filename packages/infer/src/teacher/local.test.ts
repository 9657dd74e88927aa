/** @file Checkpoints of every family teach; a model with more ids than its tokenizer teaches the tokens there are. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import {
  disposeParameters,
  initialParameters,
  type ModelConfig,
  parseConfig,
  SIZES,
  saveCheckpoint,
} from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { randomPrompt, TINY, TOKENIZER } from '../testing/tiny-engine.ts';
import { LocalTeacher } from './local.ts';

const V = TOKENIZER.vocabSize;
const parsed = (fields: Record<string, unknown>): ModelConfig => {
  const config = parseConfig(fields);
  if (config.ok) return config.value;
  throw new Error(JSON.stringify(config.issues));
};
const qwen = {
  ...{ model_type: 'qwen3_5_text', vocab_size: V, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2 },
  ...{ full_attention_interval: 2, num_attention_heads: 2, num_key_value_heads: 1, head_dim: 16 },
  ...{ linear_num_key_heads: 1, linear_num_value_heads: 2, linear_key_head_dim: 16, linear_value_head_dim: 16 },
  ...{ linear_conv_kernel_dim: 4, hidden_act: 'silu', rms_norm_eps: 1e-6, initializer_range: 0.3 },
  ...{ max_position_embeddings: 512, rope_theta: 1e4 },
};
const long: ModelConfig = {
  ...SIZES['preview-nano'],
  ...{ vocab_size: V, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 4, num_attention_heads: 2 },
  ...{ num_key_value_heads: 1, head_dim: 16, num_experts: 8, moe_intermediate_size: 16 },
  ...{ moe_shared_expert_intermediate_size: 16, hybrid_attention_layers: [1, 2, 3], hybrid_raven_slots: 16 },
  ...{ hybrid_raven_topk: 4 },
};
const graft = {
  ...{ model_type: 'quasar_graft', vocab_size: V, base: parsed(qwen), layers: [1], heads: 2, head_dim: 16 },
  ...{ conv_size: 0, gate_init: 0.8 },
} as ModelConfig;
const OPTIONS = { maxNewTokens: 6, topK: 5, temperature: 1, topP: 1, seeds: [1, 2], untilEnd: false };
const prompts = [4, 7].map((length) => ({ ids: randomPrompt(length, `local ${length}`) }));

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-local-teacher-'));
});
afterAll(() => rmSync(root, { recursive: true }));

async function teacherOf(config: ModelConfig, seed = 'teacher'): Promise<LocalTeacher> {
  const directory = mkdtempSync(join(root, 'checkpoint-'));
  const parameters = initialParameters(config, openDevice(), new Rng(seed));
  await saveCheckpoint(directory, { config, parameters, tokenizer: TOKENIZER }, 'F32');
  disposeParameters(parameters);
  return LocalTeacher.load(directory);
}

it.each([
  ['quasar', TINY],
  ['quasar_long', long],
  ['qwen3_5_text', parsed(qwen)],
  ['quasar_graft', graft],
])('%s goes on from prompts, and judges what it said as it did then', async (family, config) => {
  const teacher = await teacherOf(config as ModelConfig);
  expect(teacher.identity).toMatchObject({ kind: 'local', family });
  const { traces } = await teacher.generate(prompts, OPTIONS);
  const texts = traces.map(({ prompt, continuation }) => ({
    tokens: Int32Array.of(...prompt, ...continuation),
    from: prompt.length,
  }));
  const judged = await teacher.score(texts, { topK: 5 });
  expect(judged.report.views).toBe(12);
  for (const [i, { continuation, top }] of judged.traces.entries()) {
    expect(continuation).toEqual(traces[i]!.continuation);
    expect(top.ids).toEqual(traces[i]!.top.ids);
    for (const [j, logprob] of top.logprobs.entries()) expect(logprob).toBeCloseTo(traces[i]!.top.logprobs[j]!, 3);
  }
  teacher.dispose();
});

it('is known by its weights', async () => {
  const [a, same, b] = [await teacherOf(TINY), await teacherOf(TINY), await teacherOf(TINY, 'other')];
  expect(a.identity).toEqual(same.identity);
  expect(a.identity).not.toEqual(b.identity);
  for (const teacher of [a, same, b]) teacher.dispose();
});

it('ids without a token go to the tail, and end a continuation that says one', async () => {
  // Three times as many ids as tokens: most of what it says is none.
  const teacher = await teacherOf({ ...TINY, vocab_size: 3 * V });
  const seeds = Array.from({ length: 8 }, (_, i) => i);
  const { traces, report } = await teacher.generate(
    seeds.map((i) => ({ ids: randomPrompt(5, `wide ${i}`) })),
    { ...OPTIONS, topK: 40, seeds },
  );
  expect(report.cutTraces).toBeGreaterThan(4);
  expect(report.views).toBe(traces.reduce((sum, { continuation }) => sum + continuation.length, 0));
  expect(report.views).toBeGreaterThan(0);
  expect(report.viewsWithUnknown).toBe(report.views);
  for (const { continuation, top } of traces) {
    for (const id of [...continuation, ...top.ids]) expect(id).toBeLessThan(V);
    for (let row = 0; row < continuation.length; row++) {
      const logprobs = [...top.logprobs.subarray(row * top.k, (row + 1) * top.k)];
      const mass = logprobs.reduce((sum, logprob) => sum + Math.exp(logprob), top.tail[row]!);
      expect(mass).toBeCloseTo(1, 5);
    }
  }
  teacher.dispose();
});
