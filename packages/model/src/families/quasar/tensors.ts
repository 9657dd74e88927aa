/** @file The exact tensor table of the quasar family under its public names. Source: architecture §2.1, §3.13, §4. */
import type { HeadInits } from '../../layers/heads.ts';
import { quasarAttentionTensors } from '../../layers/quasar-attention.ts';
import { siblingTensors } from '../../layers/sibling-attention.ts';
import { bias, constant, type Entries, entry, inPart, matrix, norm, type TensorSpec } from '../../tensor-table.ts';
import { attentionOptions, glaKeyDim, isMoe, layerType, optionsOf, type QuasarConfig } from './config.ts';

/** Standard deviations of projections, and of those that write into the residual stream: they shrink with depth. */
function deviations(config: QuasarConfig): { std: number; outStd: number } {
  const std = 0.5 / Math.sqrt(config.d_model);
  return { std, outStd: std / Math.sqrt(2 * config.n_layers) };
}

/** Every tensor of a checkpoint in file order. */
export function quasarTensors(config: QuasarConfig): Map<string, TensorSpec> {
  const { d_model: D, vocab_size: V, n_layers: L, num_routed_experts: E } = config;
  const table = new Map<string, TensorSpec>([
    entry('model.embed_tokens.weight', [V, D], 'embedding', { kind: 'normal', std: config.initializer_range }),
    norm('model.embed_norm.weight', D),
  ]);
  for (let layer = 0; layer < L; layer++)
    for (const [name, spec] of layerTensors(config, layer)) table.set(`model.layers.${layer}.${name}`, spec);
  const rest = [norm('model.norm.weight', D)];
  const moeLayers = L - config.dense_input_layers;
  if (moeLayers > 0) {
    for (const name of ['all_moe_bias', 'all_moe_momentum'])
      rest.push(entry(`model.${name}`, [moeLayers, E], 'buffer', constant(0)));
    rest.push(entry('model.all_moe_max_vio', [moeLayers], 'buffer', constant(0)));
  }
  rest.push(entry('lm_head.weight', [V, D], 'head', { kind: 'normal', std: deviations(config).std }));
  for (const [name, spec] of rest) table.set(name, spec);
  return table;
}

function layerTensors(config: QuasarConfig, layer: number): Entries {
  const D = config.d_model;
  const gate = config.looped_injection_init;
  return [
    ...inPart('norms and gates', [
      ...['ln1', 'ln1_out', 'ln2', 'ln2_out'].map((name) => norm(`${name}.weight`, D)),
      bias('injection_gate', 1, Math.log(gate / (1 - gate))),
    ]),
    ...(layerType(config, layer) === 'quasar'
      ? attentionTensors(config)
      : inPart('gated linear attention', glaTensors(config))),
    ...(isMoe(config, layer)
      ? inPart('router and bottleneck', mixtureTensors(config))
      : inPart('dense feed-forward', feedForwardTensors(config, 'ffn', config.d_ff))),
  ];
}

function attentionTensors(config: QuasarConfig): Entries {
  const { std, outStd } = deviations(config);
  const inits: HeadInits = { projection: () => ({ kind: 'normal', std }), output: { kind: 'normal', std: outStd } };
  const [{ attention }, options] = [optionsOf(config), attentionOptions(config)];
  if (attention === 'quasar') return quasarAttentionTensors(config.d_model, options, inits);
  return inPart('attention', siblingTensors(config.d_model, attention, options, inits));
}

function glaTensors(config: QuasarConfig): Entries {
  const { d_model: D, n_heads: H, head_dim: E } = config;
  const { std, outStd } = deviations(config);
  const keys = glaKeyDim(config) * H;
  return [
    ...['q', 'k'].map((name) => matrix(`attn.${name}_proj.weight`, [keys, D], std)),
    ...['v', 'g'].map((name) => matrix(`attn.${name}_proj.weight`, [D, D], std)),
    matrix('attn.o_proj.weight', [D, D], outStd),
    matrix('attn.gk_proj.0.weight', [16, D], std),
    matrix('attn.gk_proj.1.weight', [keys, 16], std),
    bias('attn.gk_proj.1.bias', keys),
    norm('attn.g_norm_swish_gate.weight', E),
    ...(config.memory_slots > 0 ? inPart('latent memory', memoryTensors(config)) : []),
  ];
}

/** Latent memory of a GLA layer under its public names (architecture §3.8). */
function memoryTensors(config: QuasarConfig): Entries {
  const { d_model: D, memory_dim: M } = config;
  const { std } = deviations(config);
  return [
    entry('memory.W_eta.weight', [1, D], 'matrix', constant(0)),
    bias('memory.W_eta.bias', 1, -1),
    entry('memory.summary_query', [1, 1, M], 'scalar', { kind: 'normal', std: 1 }),
    entry('memory.eta_channels', [1, 1, M], 'scalar', constant(1)),
    bias('memory.temperature', 1, 1),
    matrix('memory.summary_proj.weight', [M, D], std),
    bias('memory.summary_proj.bias', M),
    norm('memory.input_norm.weight', D),
    entry('memory.input_norm.bias', [D], 'norm', constant(0)),
    matrix('memory.compress_z.0.weight', [2 * M, D], std),
    matrix('memory.compress_z.2.weight', [M, 2 * M], std),
    matrix('memory.W_qkv_mem.weight', [3 * M, D], std),
    ...(optionsOf(config).memory_bank === 'learned'
      ? [entry('memory.M0', [config.memory_slots, M], 'scalar', { kind: 'orthogonal' })]
      : []),
    matrix('W_alpha.weight', [1, D], std),
    bias('W_alpha.bias', 1, -4),
    matrix('C_to_hidden.weight', [D, M], std),
  ];
}

function feedForwardTensors(config: QuasarConfig, at: string, width: number): Entries {
  const D = config.d_model;
  const { std, outStd } = deviations(config);
  return [
    ...['gate', 'up'].map((name) => matrix(`${at}.${name}.weight`, [width, D], std)),
    matrix(`${at}.down.weight`, [D, width], outStd),
  ];
}

function mixtureTensors(config: QuasarConfig): Entries {
  const { d_model: D, num_routed_experts: E, num_shared_experts: shared } = config;
  const { std } = deviations(config);
  const bottleneck = D * config.bigmac_r;
  const width = config.routed_expert_size / config.bigmac_r;
  const normal = { kind: 'normal', std } as const;
  return [
    matrix('ffn.w_down_proj.weight', [bottleneck, D], std),
    matrix('ffn.w_up_proj.weight', [D, bottleneck], std),
    ...inPart('routed experts', [
      entry('ffn.experts_w12', [E, bottleneck, 2 * width], 'expert', normal),
      entry('ffn.experts_w3', [E, width, bottleneck], 'expert', normal),
    ]),
    entry('ffn.router.router_weights', [E, D], 'matrix', { kind: 'uniform', bound: 1 / Math.sqrt(D) }),
    ...Array.from({ length: shared }, (_, s) =>
      inPart('shared experts', feedForwardTensors(config, `ffn.shared_experts.${s}`, config.shared_expert_size)),
    ).flat(),
    entry('ffn.max_vio', [], 'buffer', constant(0)),
  ];
}
