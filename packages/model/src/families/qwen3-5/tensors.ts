/** @file The tensor table of the qwen3_5 family under the names of its text models. */
import { constant, type Entries, entry, inPart, matrix, type TensorSpec } from '../../tensor-table.ts';
import { expertsOf, linearWidths, type Qwen35Config } from './config.ts';

/** Every tensor of a checkpoint in file order; a tied head is the embedding. */
export function qwen35Tensors(config: Qwen35Config): Map<string, TensorSpec> {
  const { vocab_size: V, hidden_size: D, initializer_range: std } = config;
  const init = { kind: 'normal', std } as const;
  const table = new Map<string, TensorSpec>([entry('model.embed_tokens.weight', [V, D], 'embedding', init)]);
  config.layer_types.forEach((_, layer) => {
    for (const [name, spec] of layerTensors(config, layer)) table.set(`model.layers.${layer}.${name}`, spec);
  });
  table.set(...centredNorm('model.norm.weight', D));
  if (!config.tie_word_embeddings) table.set(...entry('lm_head.weight', [V, D], 'head', init));
  return table;
}

/** Norms but those of gated delta nets store their distance from 1. */
const centredNorm = (name: string, size: number) => entry(name, [size], 'norm', constant(0));

function layerTensors(config: Qwen35Config, layer: number): Entries {
  const { hidden_size: D } = config;
  return [
    ...inPart('norms and gates', [
      centredNorm('input_layernorm.weight', D),
      centredNorm('post_attention_layernorm.weight', D),
    ]),
    ...(config.layer_types[layer] === 'linear_attention'
      ? inPart('gated delta net', deltaNetTensors(config))
      : inPart('softmax attention', attentionTensors(config))),
    ...(expertsOf(config)
      ? mixtureTensors(config)
      : inPart('dense feed-forward', feedForwardTensors(config, 'mlp', config.intermediate_size as number))),
  ];
}

function feedForwardTensors({ hidden_size: D, initializer_range: std }: Qwen35Config, at: string, F: number): Entries {
  return [
    matrix(`${at}.gate_proj.weight`, [F, D], std),
    matrix(`${at}.up_proj.weight`, [F, D], std),
    matrix(`${at}.down_proj.weight`, [D, F], std),
  ];
}

/** Experts stand as everywhere here, [X, in, out], gate and up side by side; `names.ts` says how files have them. */
function mixtureTensors(config: Qwen35Config): Entries {
  const { hidden_size: D, initializer_range: std } = config;
  const { count: X, width: F, shared } = expertsOf(config) as NonNullable<ReturnType<typeof expertsOf>>;
  const normal = { kind: 'normal', std } as const;
  return [
    ...inPart('router', [matrix('mlp.gate.weight', [X, D], std), matrix('mlp.shared_expert_gate.weight', [1, D], std)]),
    ...inPart('routed experts', [
      entry('mlp.experts_w12', [X, D, 2 * F], 'expert', normal),
      entry('mlp.experts_w3', [X, F, D], 'expert', normal),
    ]),
    ...inPart('shared experts', feedForwardTensors(config, 'mlp.shared_expert', shared)),
  ];
}

function deltaNetTensors(config: Qwen35Config): Entries {
  const { hidden_size: D, initializer_range: std, linear_num_value_heads: H, linear_conv_kernel_dim: W } = config;
  const [query, key, value] = linearWidths(config);
  const joined = query + key + value;
  return [
    matrix('linear_attn.in_proj_qkv.weight', [joined, D], std),
    matrix('linear_attn.in_proj_z.weight', [value, D], std),
    matrix('linear_attn.in_proj_b.weight', [H, D], std),
    matrix('linear_attn.in_proj_a.weight', [H, D], std),
    entry('linear_attn.conv1d.weight', [joined, 1, W], 'matrix', { kind: 'uniform', bound: 1 / Math.sqrt(W) }),
    // As of the delta nets that the family follows (Dao and Gu 2024): with the 1 that stands in the public code, which is never trained
    // from its start, a fresh head forgets all within two tokens.
    entry('linear_attn.dt_bias', [H], 'scalar', { kind: 'inverseSoftplus', low: 1e-3, high: 0.1 }),
    entry('linear_attn.A_log', [H], 'scalar', { kind: 'logUniform', low: 0.01, high: 16 }),
    entry('linear_attn.norm.weight', [config.linear_value_head_dim], 'norm', constant(1)),
    matrix('linear_attn.out_proj.weight', [D, value], std),
  ];
}

function attentionTensors(config: Qwen35Config): Entries {
  const {
    hidden_size: D,
    initializer_range: std,
    num_attention_heads: H,
    num_key_value_heads: Hk,
    head_dim: E,
  } = config;
  const shapes: [name: string, out: number, inner: number][] = [
    // Of each head: its query, then its output gate.
    ['q_proj', 2 * H * E, D],
    ['k_proj', Hk * E, D],
    ['v_proj', Hk * E, D],
    ['o_proj', D, H * E],
  ];
  return [
    ...shapes.flatMap(([name, out, inner]) => [
      matrix(`self_attn.${name}.weight`, [out, inner], std),
      ...(config.attention_bias ? [entry(`self_attn.${name}.bias`, [out], 'scalar', constant(0))] : []),
    ]),
    centredNorm('self_attn.q_norm.weight', E),
    centredNorm('self_attn.k_norm.weight', E),
  ];
}
