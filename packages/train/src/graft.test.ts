/** @file Training a graft moves its branches, and of its base not a bit. */
import { Rng } from '@quasar/base';
import { type Checkpoint, graftOnto, initialParameters, parseConfig } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { TOKENIZER, tinyCheckpoint, tinyRun, valuesOf } from './testing/tiny.ts';
import { type StepReport, train } from './trainer.ts';

function qwenCheckpoint(): Checkpoint {
  const config = parseConfig({
    model_type: 'qwen3_5_text',
    vocab_size: TOKENIZER.vocabSize,
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    full_attention_interval: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: 16,
    linear_num_key_heads: 1,
    linear_num_value_heads: 2,
    linear_key_head_dim: 16,
    linear_value_head_dim: 16,
    linear_conv_kernel_dim: 4,
    hidden_act: 'silu',
    rms_norm_eps: 1e-6,
    max_position_embeddings: 512,
    rope_theta: 1e4,
  });
  if (!config.ok) throw new Error(JSON.stringify(config.issues));
  const parameters = initialParameters(config.value, openDevice('auto'), new Rng('qwen'));
  return { config: config.value, parameters, tokenizer: TOKENIZER };
}

describe.each([
  ['quasar, looped, with experts', tinyCheckpoint],
  ['qwen3_5', qwenCheckpoint],
])('upon %s', (_, makeBase) => {
  it.each(['adamw', 'muon'] as const)('%s', async (matrices) => {
    const checkpoint = graftOnto(makeBase(), { layers: [0, 1], heads: 2, head_dim: 16 }, new Rng('graft'));
    const before = await valuesOf(checkpoint);
    const losses: number[] = [];
    const onStep = ({ metrics }: StepReport) => losses.push(metrics.ce as number);
    await train(tinyRun({ steps: 12, matrices, learningRate: 2e-2 }, { checkpoint, onStep }));
    const after = await valuesOf(checkpoint);
    const moved = Object.keys(before).filter((name) => before[name]?.some((x, i) => x !== after[name]?.[i]));
    const branches = Object.keys(before).filter((name) => name.startsWith('graft.'));
    expect(moved).toEqual(branches);
    expect(losses.at(-1)).toBeLessThan(losses[0] as number);
  });
});
