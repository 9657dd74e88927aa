/** @file Checkpoints for tests: the smallest model of the family, real files, made in milliseconds. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import {
  emitTokenizerJson,
  initialValues,
  type ModelConfig,
  type QuasarConfig,
  SIZES,
  type TensorToWrite,
  type Tokenizer,
  tensorTable,
  trainBpe,
  writeSafetensors,
} from '@quasar/model';

/** One Quasar and one GLA layer, one of them with experts; a vocabulary of bytes and special tokens. */
export const MICRO: QuasarConfig = {
  ...SIZES.nano,
  vocab_size: 272,
  d_model: 32,
  n_layers: 2,
  n_heads: 1,
  head_dim: 32,
  d_ff: 48,
  quasar_layers: 1,
  gated_layers: 1,
  dense_input_layers: 1,
  num_routed_experts: 4,
  shared_expert_size: 32,
  routed_expert_size: 16,
};

export const MICRO_TOKENIZER: Tokenizer = trainBpe(['is the and of in to what', 'what is the answer to the'], {
  vocabSize: MICRO.vocab_size,
});

export type Weights = Map<string, TensorToWrite>;

/** Fresh weights: equal seeds give equal weights. `scale` multiplies what a fresh model would draw. */
export function microWeights(seed: string, scale = 1): Weights {
  return drawWeights(MICRO, seed, scale);
}

/** The same for any config without buffers of integers. */
export function drawWeights(config: ModelConfig, seed: string, scale = 1): Weights {
  const weights: Weights = new Map();
  for (const [name, { shape, role, init }] of tensorTable(config)) {
    const drawn = initialValues(shape, init, new Rng(`${seed}/${name}`));
    const factor = init.kind === 'normal' || init.kind === 'uniform' ? scale : 1;
    const values = Float32Array.from(drawn, (value) => factor * value);
    weights.set(name, { shape, dtype: role === 'buffer' ? 'F32' : 'BF16', values });
  }
  return weights;
}

/** `(1 - share) a + share b`, per value: a student that has learned `share` of the way to `b`. */
export function blend(a: Weights, b: Weights, share: number): Weights {
  return new Map(
    [...a].map(([name, tensor]) => {
      const other = b.get(name)!.values;
      return [name, { ...tensor, values: tensor.values.map((v, i) => (1 - share) * v + share * other[i]!) }];
    }),
  );
}

/** Every matrix value changed by a relative noise of `size`. */
export function noisy(weights: Weights, seed: string, size: number): Weights {
  const rng = new Rng(seed);
  return new Map(
    [...weights].map(([name, t]) => [name, { ...t, values: t.values.map((v) => v * (1 + size * rng.normal())) }]),
  );
}

export function writeCheckpoint(directory: string, weights: Weights, config: unknown = MICRO): string {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  writeFileSync(join(directory, 'tokenizer.json'), emitTokenizerJson(MICRO_TOKENIZER.vocabulary));
  writeFileSync(join(directory, 'model.safetensors'), writeSafetensors(weights));
  return directory;
}
