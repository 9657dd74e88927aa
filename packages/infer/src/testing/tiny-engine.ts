/** @file For tests: an engine with random weights that answers in milliseconds what nobody should read. */
import { Rng } from '@quasar/base';
import { initialParameters, type QuasarConfig, SIZES, type Tokenizer, trainBpe } from '@quasar/model';
import { type Device, openDevice } from '@quasar/tensor';
import { Engine } from '../engine.ts';

/** Every byte a token, and a few words. */
export const TOKENIZER: Tokenizer = trainBpe(['hello world, hello king'], { vocabSize: 270 });

/** One Quasar and one GLA layer, one of them with experts. */
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
  dense_input_layers: 1,
  num_routed_experts: 4,
  shared_expert_size: 24,
  routed_expert_size: 16,
};

/** The head is scaled up, so that the model has opinions and greedy choices are far from ties. */
export async function tinyEngine(seed = 'tiny', device: Device = openDevice('auto')): Promise<Engine> {
  const parameters = initialParameters(TINY, device, new Rng(seed));
  const head = parameters.get('lm_head.weight');
  head?.write((await head.read()).map((x) => 4 * x) as Float32Array);
  return new Engine(TINY, parameters, TOKENIZER, device);
}

export function randomPrompt(length: number, seed: string): Int32Array {
  const rng = new Rng(seed);
  return Int32Array.from({ length }, () => rng.int(0, 255));
}
