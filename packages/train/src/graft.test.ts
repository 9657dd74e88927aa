/** @file Training a graft moves its branches, and of its base not a bit; what it answers then, its folder answers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import { Engine } from '@quasar/infer';
import {
  type Checkpoint,
  graftOnto,
  initialParameters,
  parseConfig,
  saveBranches,
  saveCheckpoint,
  weightsDigest,
} from '@quasar/model';
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

async function answers(engine: Engine): Promise<number[][]> {
  const prompts = ['What is 2 + 3?', 'a'].map((text) => engine.tokenizer.encode(text));
  const options = { maxNewTokens: 40, temperature: 0, stopTokens: [] };
  const completions = await engine.generate(prompts, options);
  return completions.map(({ tokens, logprobs }) => [...tokens, ...logprobs]);
}

describe.each([
  ['quasar, looped, with experts', tinyCheckpoint],
  ['qwen3_5', qwenCheckpoint],
])('upon %s', (_, makeBase) => {
  it.each(['adamw', 'muon'] as const)('%s', async (matrices) => {
    const base = makeBase();
    const checkpoint = graftOnto(base, { layers: [0, 1], heads: 2, head_dim: 16 }, new Rng('graft'));
    const before = await valuesOf(checkpoint);
    const losses: number[] = [];
    const onStep = ({ metrics }: StepReport) => losses.push(metrics.ce as number);
    await train(tinyRun({ steps: 12, matrices, learningRate: 2e-2 }, { checkpoint, onStep }));
    const after = await valuesOf(checkpoint);
    const moved = Object.keys(before).filter((name) => before[name]?.some((x, i) => x !== after[name]?.[i]));
    const branches = Object.keys(before).filter((name) => name.startsWith('graft.'));
    expect(moved).toEqual(branches);
    expect(losses.at(-1)).toBeLessThan(losses[0] as number);

    const root = mkdtempSync(join(tmpdir(), 'quasar-graft-'));
    try {
      const [folder, branchFolder] = [join(root, 'base'), join(root, 'branches')];
      await saveCheckpoint(folder, base, 'F32');
      await saveBranches(branchFolder, checkpoint, 'F32', { base: { folder, sha256: weightsDigest(folder) } });
      const { config, parameters, tokenizer } = checkpoint;
      const trained = await answers(new Engine(config, parameters, tokenizer, openDevice('auto')));
      expect(await answers(await Engine.load(branchFolder))).toEqual(trained);
      expect(await answers(await Engine.load(folder))).not.toEqual(trained);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});
