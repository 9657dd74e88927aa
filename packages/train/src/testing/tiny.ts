/** @file For tests: a checkpoint that trains in milliseconds per step, and runs on it. */
import { createHash } from 'node:crypto';
import { Rng } from '@quasar/base';
import {
  type Checkpoint,
  initialParameters,
  type ModelConfig,
  type QuasarConfig,
  SIZES,
  type Tokenizer,
  trainBpe,
} from '@quasar/model';
import { type Device, openDevice } from '@quasar/tensor';
import { worldSource } from '../data/source.ts';
import { crossEntropyObjective } from '../objectives/objective.ts';
import { TRAIN_DEFAULTS, type TrainRun, type TrainSettings } from '../trainer.ts';

/** Every byte a token, and a few words. */
export const TOKENIZER: Tokenizer = trainBpe(['what is the answer to this', 'is the what of'], { vocabSize: 270 });

/** One Quasar and one GLA layer, both with experts, run twice. */
export const TINY: QuasarConfig = {
  ...SIZES.nano,
  vocab_size: TOKENIZER.vocabSize,
  d_model: 32,
  n_layers: 2,
  n_heads: 2,
  head_dim: 16,
  d_ff: 48,
  expand_k: 1,
  quasar_layers: 1,
  gated_layers: 1,
  dense_input_layers: 0,
  num_routed_experts: 4,
  shared_expert_size: 24,
  routed_expert_size: 16,
  num_loops: 2,
};

export function tinyCheckpoint(
  seed = 'tiny',
  device: Device = openDevice('auto'),
  config: ModelConfig = TINY,
): Checkpoint {
  return { config, parameters: initialParameters(config, device, new Rng(seed)), tokenizer: TOKENIZER };
}

/** A run of next-token training on the world that keeps no resume point. */
export function tinyRun(settings: Partial<TrainSettings> = {}, more: Partial<TrainRun> = {}): TrainRun {
  return {
    checkpoint: tinyCheckpoint(),
    objective: crossEntropyObjective(),
    source: worldSource(TOKENIZER),
    settings: {
      ...TRAIN_DEFAULTS,
      steps: 4,
      seed: 'run',
      B: 2,
      T: 48,
      learningRate: 5e-3,
      warmupSteps: 2,
      ...settings,
    },
    directory: null,
    ...more,
  };
}

/** Every value of every tensor, buffers included. */
export async function valuesOf({ parameters }: Checkpoint): Promise<Record<string, number[]>> {
  const values: Record<string, number[]> = {};
  for (const [name, tensor] of parameters) values[name] = [...(await tensor.read())];
  return values;
}

/** Of every bit of every tensor, buffers included. */
export async function digestOf({ parameters }: Checkpoint): Promise<string> {
  const hash = createHash('sha256');
  for (const tensor of parameters.values()) hash.update(new Uint8Array((await tensor.read()).buffer));
  return hash.digest('hex');
}
