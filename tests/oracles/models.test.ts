/** @file Whole models against the same equations in PyTorch float64 (`quasar_model.py`, `quasar_long_model.py`), gradients too. */
import { Rng } from '@quasar/base';
import {
  forward,
  initialParameters,
  type ModelConfig,
  type Parameters,
  type QuasarConfig,
  type QuasarLongConfig,
  SIZES,
  tensorTable,
  vocabularyLogits,
} from '@quasar/model';
import {
  add,
  crossEntropy,
  type Device,
  gradients,
  nativeAvailable,
  nativeDevice,
  type RowGradient,
  referenceDevice,
  sizeOf,
  Tensor,
  weightedSum,
} from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { readVectors, uniform } from './vectors.ts';

const vectors = { ...readVectors('quasar-model'), ...readVectors('quasar-long-model') };
const [B, STEP] = [2, 7];

/** A fresh model with what the oracles draw; buffers of constants stay, among them tokens and orders of n-grams. */
function parametersOf(config: ModelConfig, device: Device): Parameters {
  const parameters = initialParameters(config, device, new Rng('constants'));
  for (const [name, { shape, role }] of tensorTable(config)) {
    if (name.endsWith('.engram.seeds'))
      parameters.get(name)?.write(uniform(name, 1, 2 ** 31 - 2, sizeOf(shape)).map(Math.floor));
    if (role === 'buffer' && !/(moe|expert)_bias$/.test(name)) continue;
    const isNearOne = role === 'norm' || name.includes('gain');
    const values = uniform(name, -0.25, 0.25, sizeOf(shape)).map((x) => (isNearOne ? x + 1 : x));
    parameters.get(name)?.write(values);
  }
  return parameters;
}

/** A gradient of rows as one of the whole table, of `size` numbers. */
async function addedUp({ ids, rows }: RowGradient, size: number): Promise<Float64Array> {
  const sum = new Float64Array(size);
  const [at, values] = [await ids.read(), await rows.read()];
  const width = values.length / at.length;
  values.forEach((x, i) => {
    const to = (at[Math.floor(i / width)] as number) * width + (i % width);
    sum[to] = (sum[to] as number) + x;
  });
  return sum;
}

/** As in quasar_model.py. */
const TINY: QuasarConfig = {
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

/** As in quasar_long_model.py. Layers: plain dense, then mixtures: plain, quasar, raven, quasar, quasar, gla. */
const HYBRID: QuasarLongConfig = {
  ...SIZES['preview-nano'],
  vocab_size: 48,
  hidden_size: 64,
  num_hidden_layers: 7,
  hybrid_attention_layers: [2, 3, 4, 5, 6],
  hybrid_layerwise_cycle: ['quasar', 'raven', 'quasar', 'quasar', 'gla'],
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  intermediate_size: 48,
  num_experts: 8,
  num_experts_per_tok: 2,
  n_group: 4,
  topk_group: 2,
  moe_intermediate_size: 16,
  moe_shared_expert_intermediate_size: 16,
  routed_scaling_factor: 2.5,
  rope_theta: 1e4,
  nope_after_position: 40,
  hybrid_raven_slots: 16,
  hybrid_raven_topk: 8,
  hybrid_output_adapter_rank: 4,
  quasar_variant: 'exact',
  quasar_beta: 'sigmoid',
};

/** Of two layers; the second has the branch. */
const SMALL: QuasarLongConfig = {
  ...HYBRID,
  num_hidden_layers: 2,
  hybrid_attention_layers: [1],
  hybrid_layerwise_cycle: ['quasar'],
};
const MEMORIES: QuasarLongConfig = {
  ...SMALL,
  engram_layers: [0, 1],
  engram_residual_scale: 1,
  engram_dim: 32,
  engram_num_heads: 2,
  engram_slots: 4 * 50, // 53 rows each
};

const CONFIGS: Record<string, ModelConfig> = {
  plain: TINY,
  'two loops with injection': {
    ...TINY,
    num_loops: 2,
    use_looped_injection: true,
    // The gradient as it is.
    anchor_grad_scale_gate: 1,
    anchor_grad_scale_P: 1,
  },
  hybrid: HYBRID,
  'writing: preview_chunk': { ...SMALL, quasar_variant: 'preview_chunk' },
  'writing: preview_recurrent': { ...SMALL, quasar_variant: 'preview_recurrent' },
  'writing: fork_v1': { ...SMALL, quasar_variant: 'fork_v1' },
  'writing: scalar': { ...SMALL, quasar_beta: 'softplus', quasar_decay: 'scalar' },
  'memories: rmsnorm': MEMORIES,
  'memories: public': { ...MEMORIES, engram_gate: 'public' },
  'latent memory': { ...TINY, memory_slots: 16, memory_dim: 16, memory_bank: 'learned' },
};
const DEVICES: [name: string, device: Device, tolerance: number][] = [
  ['reference', referenceDevice({ precision: 'f64' }), 1e-8],
  // Small gradients are sums of terms that cancel.
  ...(nativeAvailable() ? [['native', nativeDevice(), 5e-5] as [string, Device, number]] : []),
];

describe.each(DEVICES)('%s', (_, device, tolerance) => {
  it.each(Object.keys(vectors))('%s: logits, loss and the gradient of every parameter', async (name) => {
    const expected = vectors[name] as Record<string, number[]>;
    const config = CONFIGS[name] as ModelConfig;
    const parameters = parametersOf(config, device);
    const names = Object.keys(expected).filter((key) => parameters.has(key));
    const trained = names.map((key) => parameters.get(key) as Tensor);
    for (const tensor of trained) tensor.requiresGrad = true;
    const T = (Math.floor((expected.logits as number[]).length / B / config.vocab_size) * STEP) as number;
    const drawn = (what: string) =>
      Int32Array.from(uniform(what, 0, 1, B * T), (x) => Math.floor(x * config.vocab_size));
    const {
      value,
      gradients: whole,
      rowGradients,
    } = gradients(trained, () => {
      const { hidden, aux } = forward(config, parameters, { tokens: drawn('tokens'), B, T });
      const logits = vocabularyLogits(parameters, hidden);
      const each = crossEntropy(logits, Tensor.from(device, [B * T], drawn('targets'), 'int'));
      const mean = weightedSum(each, Tensor.filled(device, [B * T], 1), 1 / (B * T));
      return { loss: aux.routerLoss ? add(mean, aux.routerLoss) : mean, logits };
    });
    const logits = await value.logits.read();
    const V = config.vocab_size;
    (expected.logits as number[]).forEach((want, i) => {
      const row = Math.floor(i / V);
      const perRow = Math.ceil(T / STEP);
      const at = Math.floor(row / perRow) * T + (row % perRow) * STEP;
      expect(Math.abs((logits[at * V + (i % V)] as number) - want), `logit ${i}`).toBeLessThan(10 * tolerance);
    });
    expect((await value.loss.read())[0]).toBeCloseTo((expected.loss as number[])[0] as number, 5);
    expect(names.length).toBe(Object.keys(expected).length - 2);
    for (const [i, key] of names.entries()) {
      const weights = uniform(`d ${key}`, -1, 1, trained[i]?.size as number);
      const rows = rowGradients[i];
      const gradient = rows ? await addedUp(rows, weights.length) : await (whole[i] as Tensor).read();
      const sum = weights.reduce((total, w, j) => total + w * (gradient[j] as number), 0);
      const size = Math.hypot(...gradient);
      expect(Math.abs(sum - ((expected[key] as number[])[0] as number)), key).toBeLessThan(
        tolerance * Math.max(size, 1e-3),
      );
    }
  });
});
