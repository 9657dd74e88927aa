/** @file The exact tensor table of the quasar_long family under its public names. Source: architecture §2.2, §3.5.9, §3.7, §4. */
import { engramTensors } from '../../layers/engram-tensors.ts';
import { quasarAttentionTensors } from '../../layers/quasar-attention.ts';
import {
  bias,
  constant,
  type Entries,
  entry,
  type Init,
  inPart,
  matrix,
  norm,
  type TensorSpec,
  values,
} from '../../tensor-table.ts';
import {
  branchOf,
  engramOptions,
  glaLogDecay,
  isMoe,
  optionsOf,
  type QuasarLongConfig,
  quasarOptions,
  rotaryDim,
} from './config.ts';

/** Logit of the share of P in the first steps: 0.001. */
const CLOSED = -6.907;
/** Logit of the share of a local window, which no published model has: 1e-6. */
const NO_WINDOW = Math.log(1e-6 / (1 - 1e-6));

/** Every tensor of a checkpoint in file order. */
export function quasarLongTensors(config: QuasarLongConfig): Map<string, TensorSpec> {
  const { hidden_size: D, vocab_size: V, initializer_range: std } = config;
  const init = { kind: 'normal', std } as const;
  const table = new Map<string, TensorSpec>([entry('model.word_embeddings.weight', [V, D], 'embedding', init)]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++)
    for (const [name, spec] of layerTensors(config, layer)) table.set(`model.layers.${layer}.${name}`, spec);
  const rotary = rotaryDim(config);
  const frequencies = Array.from({ length: rotary / 2 }, (_, j) => config.rope_theta ** ((-2 * j) / rotary));
  const rest = [
    norm('model.norm.weight', D),
    // In public checkpoints and not read: rotations are computed from `rope_theta`, which is more exact.
    entry('model.rotary_emb.inv_freq', [rotary / 2], 'buffer', values(frequencies)),
    entry('lm_head.weight', [V, D], 'head', init),
  ];
  for (const [name, spec] of rest) table.set(name, spec);
  return table;
}

function layerTensors(config: QuasarLongConfig, layer: number): Entries {
  const D = config.hidden_size;
  const branch = branchOf(config, layer);
  const gates = [
    ...(config.use_looped_injection ? ['injection_gate'] : []),
    ...(optionsOf(config).use_parcae_loop_stabilizer ? ['parcae_decay_raw', 'parcae_anchor_gate'] : []),
  ];
  return [
    norm('input_layernorm.weight', D),
    norm('post_attention_layernorm.weight', D),
    ...gates.map((name) => bias(name, 1, CLOSED)),
    ...(config.engram_layers.includes(layer) ? engramTensors(D, config.vocab_size, engramOptions(config)) : []),
    ...inPart('softmax attention', groupedTensors(config, 'attention')),
    ...(branch ? [...inPart('branch merge', mergeTensors(config)), ...branchTensors(config, layer, branch)] : []),
    ...(isMoe(config, layer)
      ? mixtureTensors(config)
      : inPart('dense feed-forward', feedForwardTensors(config, 'mlp', config.intermediate_size))),
  ];
}

/** Queries, keys and values of all heads in one projection, their norms, and the projection back. */
function groupedTensors(config: QuasarLongConfig, at: string, init?: Init): Entries {
  const { hidden_size: D, num_attention_heads: H, num_key_value_heads: Hk, head_dim: E } = config;
  const how = init ?? ({ kind: 'normal', std: config.initializer_range } as const);
  return [
    entry(`${at}.query_key_value.weight`, [(H + 2 * Hk) * E, D], 'matrix', how),
    norm(`${at}.query_layernorm.weight`, E),
    norm(`${at}.key_layernorm.weight`, E),
    entry(`${at}.dense.weight`, [D, H * E], 'matrix', how),
  ];
}

function mergeTensors(config: QuasarLongConfig): Entries {
  const D = config.hidden_size;
  const rank = optionsOf(config).hybrid_output_adapter_rank;
  return [
    bias('attention.replace_alpha_raw', 1, config.hybrid_alpha_init),
    // In public checkpoints and without effect: shares of branches where a layer has one, a gain that is divided out
    // again, and the share of a local window that no published model has.
    bias('attention.branch_mix_logits', 3),
    bias('attention.branch_output_gain', 1, 1),
    bias('attention.branch_global_output_gain', 1, 1),
    entry('attention.branch_output_channel_gain', [D], 'scalar', constant(1)),
    bias('attention.branch_local_window_mix_logit', 1, NO_WINDOW),
    ...(rank > 0
      ? [
          entry('attention.branch_output_adapter_down.weight', [rank, D], 'matrix', fan(D)),
          entry('attention.branch_output_adapter_up.weight', [D, rank], 'matrix', constant(0)),
        ]
      : []),
  ];
}

/** As PyTorch draws a linear layer. */
function fan(inputs: number): Init {
  return { kind: 'uniform', bound: 1 / Math.sqrt(inputs) };
}

function branchTensors(config: QuasarLongConfig, layer: number, branch: 'quasar' | 'raven' | 'gla'): Entries {
  const { hidden_size: D, num_attention_heads: H, num_key_value_heads: Hk, head_dim: E } = config;
  const linear = (name: string, out: number, inputs: number) =>
    entry(`${name}.weight`, [out, inputs], 'matrix', fan(inputs));
  if (branch === 'quasar') return quasarAttentionTensors(D, quasarOptions(config), { projection: fan, output: fan(D) });
  if (branch === 'gla') {
    const at = 'attention.gla_attention';
    return inPart('gated linear attention', [
      ...groupedTensors(config, at, fan(D)),
      linear(`${at}.g_proj`, D, D),
      norm(`${at}.g_norm.weight`, D),
      entry(`${at}.slope`, [H], 'buffer', values(glaLogDecay(config, layer))),
    ]);
  }
  const at = 'attention.raven_attention';
  return inPart('raven', [
    linear(`${at}.q_proj`, D, D),
    linear(`${at}.k_proj`, Hk * E, D),
    linear(`${at}.v_proj`, Hk * E, D),
    linear(`${at}.r_proj`, H * config.hybrid_raven_slots, D),
    linear(`${at}.a_proj`, H, D),
    linear(`${at}.o_proj`, D, D),
    entry(`${at}.A_log`, [H], 'scalar', { kind: 'logUniform', low: 1, high: 16 }),
    bias(`${at}.dt_bias`, H),
    norm(`${at}.q_norm.weight`, E),
    norm(`${at}.k_norm.weight`, E),
    norm(`${at}.g_norm.weight`, D),
  ]);
}

function feedForwardTensors(config: QuasarLongConfig, at: string, width: number): Entries {
  const { hidden_size: D, initializer_range: std } = config;
  return [
    ...['gate', 'up'].map((name) => matrix(`${at}.${name}_proj.weight`, [width, D], std)),
    matrix(`${at}.down_proj.weight`, [D, width], std),
  ];
}

function mixtureTensors(config: QuasarLongConfig): Entries {
  const { hidden_size: D, num_experts: X, moe_intermediate_size: F, initializer_range: std } = config;
  const normal = { kind: 'normal', std } as const;
  const shared = config.num_shared_experts * F;
  return [
    ...inPart('router', [entry('mlp.gate.weight', [X, D], 'matrix', fan(D))]),
    entry('mlp.gate.expert_bias', [X], 'buffer', constant(0)),
    entry('mlp.experts_w12', [X, D, 2 * F], 'expert', normal),
    entry('mlp.experts_w3', [X, F, D], 'expert', normal),
    ...(shared > 0 ? inPart('shared experts', feedForwardTensors(config, 'mlp.shared_experts', shared)) : []),
  ];
}
