/** @file For tests: the smallest quasar model that has every kind of layer, and what tests of any model need. */
import { Rng } from '@quasar/base';
import { type Device, type RowGradient, scope, type Tensor } from '@quasar/tensor';
import type { ForwardInput } from '../block.ts';
import { type ModelConfig, SIZES, tensorTable } from '../families/index.ts';
import type { QuasarConfig } from '../families/quasar/config.ts';
import { forward, vocabularyLogits } from '../forward.ts';
import { initialParameters, type Parameters } from '../parameters.ts';

/** Layers: quasar dense, gla dense, quasar mixture, gla mixture. */
export const TINY: QuasarConfig = {
  ...SIZES.nano,
  vocab_size: 48,
  d_model: 32,
  n_layers: 4,
  n_heads: 2,
  head_dim: 16,
  d_ff: 48,
  expand_k: 1,
  quasar_layers: 1,
  gated_layers: 1,
  dense_input_layers: 2,
  num_routed_experts: 4,
  shared_expert_size: 24,
  routed_expert_size: 16,
};

/** A fresh model with noise on norms, biases, gates and selection biases, which would hide errors at 0 and 1. */
export async function tinyParameters(device: Device, config: ModelConfig = TINY, seed = 'tiny'): Promise<Parameters> {
  const parameters = initialParameters(config, device, new Rng(seed));
  const rng = new Rng(`${seed}/noise`);
  for (const [name, { role, init }] of tensorTable(config)) {
    const isNoisy = role === 'buffer' ? name.endsWith('_bias') : role === 'scalar' || init.kind === 'constant';
    const tensor = parameters.get(name) as Tensor;
    if (isNoisy) tensor.write(Float64Array.from(await tensor.read(), (x) => Math.fround(x + 0.1 * rng.normal())));
  }
  return parameters;
}

export function randomTokens(count: number, vocabSize: number, seed: string): Int32Array {
  const rng = new Rng(seed);
  return Int32Array.from({ length: count }, () => rng.int(0, vocabSize - 1));
}

/** Logits of every position, [B·T·V]. */
export async function logitsOf(
  config: ModelConfig,
  parameters: Parameters,
  input: ForwardInput,
): Promise<Float32Array | Float64Array> {
  const logits = scope(() => vocabularyLogits(parameters, forward(config, parameters, input).hidden));
  const values = (await logits.read()) as Float32Array | Float64Array;
  logits.dispose();
  return values;
}

/** Largest |a − b|; infinite for different lengths. */
export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs((a[i] as number) - (b[i] as number));
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return worst;
}

/** RMS(a − b) / RMS(b); infinite for different lengths. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let [difference, size] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    difference += ((a[i] as number) - (b[i] as number)) ** 2;
    size += (b[i] as number) ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / size);
}

/** A gradient of rows as one of the whole table, of `size` numbers. */
export async function addedUp({ ids, rows }: RowGradient, size: number): Promise<Float64Array> {
  const sum = new Float64Array(size);
  const [at, values] = [await ids.read(), await rows.read()];
  const width = values.length / at.length;
  values.forEach((x, i) => {
    const to = (at[Math.floor(i / width)] as number) * width + (i % width);
    sum[to] = (sum[to] as number) + x;
  });
  return sum;
}
