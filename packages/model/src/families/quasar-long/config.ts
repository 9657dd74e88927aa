/**
 * @file The configuration of the quasar_long family (Quasar-Preview) under its public field names, and the sizes we ship.
 * Source: the public config (architecture §2.2). Fields that change nothing here are kept because a published config must
 * round-trip; those that say how other programs run the model are read and dropped (parse-config.ts).
 */
import type { EngramOptions } from '../../layers/engram.ts';
import type { QuasarAttentionOptions } from '../../layers/quasar-attention.ts';
import type { WriteRule } from '../../layers/write-gate.ts';
import type { Positional } from '../../positional.ts';

export const BRANCHES = ['quasar', 'raven', 'gla'] as const;
/** The linear attention beside, or in place of, the softmax attention of a hybrid layer. */
export type Branch = (typeof BRANCHES)[number];

export interface QuasarLongConfig extends Partial<QuasarLongOptions> {
  model_type: 'quasar_long';
  vocab_size: number;
  hidden_size: number;
  /** Of the dense feed-forwards. */
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  /** Query heads share key heads in order. */
  num_key_value_heads: number;
  head_dim: number;
  hidden_act: 'silu';
  rms_norm_eps: number;
  use_rmsnorm: true;
  use_qk_norm: true;
  use_qkv_bias: false;
  use_bias: false;
  attention_dropout: 0;
  embedding_dropout: 0;
  output_dropout: 0;
  /** Share of a head that turns, from its first channel on. */
  partial_rotary_factor: number;
  rope_theta: number;
  rope_scaling: null;
  tie_word_embeddings: false;
  initializer_range: number;
  pad_token_id: number;
  eos_token_id: number;
  num_experts: number;
  num_experts_per_tok: number;
  /** One shared feed-forward, as wide as so many experts; 0: none. */
  num_shared_experts: number;
  moe_intermediate_size: number;
  /** Public configs say it; the width of the shared feed-forward follows from the two fields above. */
  moe_shared_expert_intermediate_size: number;
  /** Layers before this one have a dense feed-forward. */
  first_k_dense_replace: number;
  /** Experts form groups; those of the `topk_group` best can be chosen. */
  n_group: number;
  topk_group: number;
  score_function: 'sigmoid';
  norm_topk_prob: true;
  routed_scaling_factor: number;
  router_dtype: 'fp32';
  moe_router_enable_expert_bias: true;
  /** Layers with a branch of linear attention, by number. */
  hybrid_attention_layers: number[];
  hybrid_branch_layout: 'layerwise';
  /** Branches of the hybrid layers in order, again and again; a branch that is not enabled is left out. */
  hybrid_layerwise_cycle: Branch[];
  hybrid_quasar_enabled: boolean;
  hybrid_raven_enabled: boolean;
  hybrid_gla_enabled: boolean;
  /** `add`: softmax attention plus the branch. All others: the branch alone, and no softmax attention is computed. */
  hybrid_replacement_mode: 'add' | 'full' | 'replace' | 'linear';
  /**
   * For comparisons, in training as in evaluation: `gqa_only` leaves branches out, every `…_forced` leaves softmax attention
   * of hybrid layers out; else `hybrid_replacement_mode` decides.
   */
  hybrid_eval_mode: 'hybrid_add' | 'gqa_only' | 'quasar_forced' | 'raven_forced' | 'gla_forced' | 'mixed_forced';
  hybrid_eval_force_branch: '';
  /** Logit of the weight of a fresh branch. */
  hybrid_alpha_init: number;
  hybrid_use_short_conv: false;
  hybrid_gla_mode: 'chunk';
  hybrid_gla_expand_k: 1;
  hybrid_gla_expand_v: 1;
  hybrid_raven_slots: number;
  /** Slots that a token may write. */
  hybrid_raven_topk: number;
  hybrid_raven_decay_type: 'Mamba2';
  use_nope: boolean;
  /** Where `use_nope`: rotate below `nope_after_position`, or nowhere. */
  long_context_mode: 'rope_short_nope_long' | 'nope';
  nope_after_position: number;
  max_position_embeddings: number;
  max_seq_length: number;
  max_sequence_length: number;
  num_loops: number;
  use_looped_injection: boolean;
  num_nextn_predict_layers: 0;
  mtp_loss_scaling_factor: 0;
  /** Layers that read a memory of n-grams. */
  engram_layers: number[];
  engram_dim: number;
  /** Rows of all its tables, before those of each are rounded up to a prime. */
  engram_slots: number;
  engram_num_heads: number;
  engram_ngram_orders: number[];
  /** Its share of what is added to the hidden state. */
  engram_residual_scale: number;
  /** Factor on the learning rate of its tables. */
  engram_lr_multiplier: number;
}

/** Fields that the published config does not have; absent ones have the values of `optionsOf`, its behaviour. */
export interface QuasarLongOptions extends WriteRule {
  /** Rank of the adapter on the output of a branch, and its weight times the rank. */
  hybrid_output_adapter_rank: number;
  hybrid_output_adapter_alpha: number;
  /** Groups that the output norm of a GLA branch splits its channels into. */
  hybrid_gla_group_norm_size: number;
  hybrid_quasar_use_rope: boolean;
  /** At the input of each layer, h is drawn to the embeddings: e^(−softplus p)·h + σ(a)·P. */
  use_parcae_loop_stabilizer: boolean;
  /** Factors on the gradients of injection and stabiliser gates, and of P by them. Default 1/num_loops. */
  anchor_grad_scale_gate: number;
  anchor_grad_scale_P: number;
  /** See `EngramOptions`. Default: the paper's gate, the public hash of tokens. */
  engram_gate: EngramOptions['gate'];
  engram_token_map: EngramOptions['tokenMap'];
}

export function optionsOf(config: QuasarLongConfig): QuasarLongOptions {
  const rank = config.hybrid_output_adapter_rank ?? 16;
  return {
    hybrid_output_adapter_rank: rank,
    hybrid_output_adapter_alpha: config.hybrid_output_adapter_alpha ?? rank,
    hybrid_gla_group_norm_size: config.hybrid_gla_group_norm_size ?? config.num_attention_heads,
    hybrid_quasar_use_rope: config.hybrid_quasar_use_rope ?? false,
    use_parcae_loop_stabilizer: config.use_parcae_loop_stabilizer ?? false,
    anchor_grad_scale_gate: config.anchor_grad_scale_gate ?? 1 / config.num_loops,
    anchor_grad_scale_P: config.anchor_grad_scale_P ?? 1 / config.num_loops,
    engram_gate: config.engram_gate ?? 'rmsnorm',
    engram_token_map: config.engram_token_map ?? 'hash',
    quasar_variant: config.quasar_variant ?? 'preview_chunk',
    quasar_beta: config.quasar_beta ?? 'sigmoid',
    qk_l2norm: config.qk_l2norm ?? true,
    quasar_decay: config.quasar_decay ?? 'none',
  };
}

/** The published Quasar-Preview. */
const PREVIEW: QuasarLongConfig = {
  model_type: 'quasar_long',
  vocab_size: 157184,
  hidden_size: 2048,
  intermediate_size: 5120,
  num_hidden_layers: 20,
  num_attention_heads: 16,
  num_key_value_heads: 4,
  head_dim: 128,
  hidden_act: 'silu',
  rms_norm_eps: 1e-6,
  use_rmsnorm: true,
  use_qk_norm: true,
  use_qkv_bias: false,
  use_bias: false,
  attention_dropout: 0,
  embedding_dropout: 0,
  output_dropout: 0,
  partial_rotary_factor: 0.5,
  rope_theta: 10000,
  rope_scaling: null,
  tie_word_embeddings: false,
  initializer_range: 0.02,
  pad_token_id: 156892,
  eos_token_id: 156892,
  num_experts: 256,
  num_experts_per_tok: 8,
  num_shared_experts: 1,
  moe_intermediate_size: 512,
  moe_shared_expert_intermediate_size: 512,
  first_k_dense_replace: 1,
  n_group: 8,
  topk_group: 4,
  score_function: 'sigmoid',
  norm_topk_prob: true,
  routed_scaling_factor: 2.5,
  router_dtype: 'fp32',
  moe_router_enable_expert_bias: true,
  hybrid_attention_layers: [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
  hybrid_branch_layout: 'layerwise',
  hybrid_layerwise_cycle: ['quasar', 'raven', 'quasar', 'quasar', 'gla'],
  hybrid_quasar_enabled: true,
  hybrid_raven_enabled: true,
  hybrid_gla_enabled: true,
  hybrid_replacement_mode: 'add',
  hybrid_eval_mode: 'hybrid_add',
  hybrid_eval_force_branch: '',
  hybrid_alpha_init: 0.8473,
  hybrid_use_short_conv: false,
  hybrid_gla_mode: 'chunk',
  hybrid_gla_expand_k: 1,
  hybrid_gla_expand_v: 1,
  hybrid_raven_slots: 64,
  hybrid_raven_topk: 32,
  hybrid_raven_decay_type: 'Mamba2',
  use_nope: true,
  long_context_mode: 'rope_short_nope_long',
  nope_after_position: 512,
  max_position_embeddings: 5_000_000,
  max_seq_length: 5_000_000,
  max_sequence_length: 5_000_000,
  num_loops: 1,
  use_looped_injection: false,
  num_nextn_predict_layers: 0,
  mtp_loss_scaling_factor: 0,
  engram_layers: [],
  engram_dim: 512,
  engram_slots: 2_000_000,
  engram_num_heads: 8,
  engram_ngram_orders: [2, 3],
  engram_residual_scale: 0.01,
  engram_lr_multiplier: 5,
};

/** For laptops: every kind of layer, and the exact write gate, whose strength is not capped. */
const LAPTOP: QuasarLongConfig = {
  ...PREVIEW,
  vocab_size: 1024,
  num_hidden_layers: 6,
  pad_token_id: 1,
  eos_token_id: 1,
  num_experts: 16,
  num_experts_per_tok: 2,
  n_group: 4,
  topk_group: 2,
  routed_scaling_factor: 1,
  hybrid_attention_layers: [1, 2, 3, 4, 5],
  hybrid_layerwise_cycle: ['quasar', 'raven', 'gla'],
  hybrid_raven_slots: 32,
  hybrid_raven_topk: 16,
  quasar_variant: 'exact',
  quasar_beta: 'softplus',
};

export const QUASAR_LONG_SIZES = {
  'preview-nano': {
    ...LAPTOP,
    hidden_size: 128,
    intermediate_size: 384,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 32,
    initializer_range: 0.04,
    moe_intermediate_size: 64,
    moe_shared_expert_intermediate_size: 64,
  },
  'preview-mini': {
    ...LAPTOP,
    vocab_size: 4096,
    num_hidden_layers: 8,
    hybrid_attention_layers: [2, 3, 4, 5, 6, 7],
    hidden_size: 256,
    intermediate_size: 768,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 64,
    initializer_range: 0.03,
    moe_intermediate_size: 128,
    moe_shared_expert_intermediate_size: 128,
  },
  preview: PREVIEW,
} as const satisfies Record<string, QuasarLongConfig>;

/** Branch of a layer; null: softmax attention only. Architecture §2.2. */
export function branchOf(config: QuasarLongConfig, layer: number): Branch | null {
  const place = config.hybrid_attention_layers.toSorted((a, b) => a - b).indexOf(layer);
  const cycle = enabledCycle(config);
  return place < 0 ? null : (cycle[place % cycle.length] as Branch);
}

export function enabledCycle(config: QuasarLongConfig): Branch[] {
  return config.hybrid_layerwise_cycle.filter((branch) => config[`hybrid_${branch}_enabled`]);
}

/** What a layer computes: softmax attention, a branch, or the sum of both. */
export function partsOf(config: QuasarLongConfig, layer: number): { softmax: boolean; branch: Branch | null } {
  const branch = branchOf(config, layer);
  const { hybrid_eval_mode: mode, hybrid_replacement_mode: replacement } = config;
  if (!branch || mode === 'gqa_only') return { softmax: true, branch: null };
  return { softmax: replacement === 'add' && !mode.endsWith('_forced'), branch };
}

export function isMoe(config: QuasarLongConfig, layer: number): boolean {
  return layer >= config.first_k_dense_replace;
}

/** Channels of a head that turn. */
export function rotaryDim(config: QuasarLongConfig): number {
  return config.head_dim * config.partial_rotary_factor;
}

export function configuredPositional(config: QuasarLongConfig): Positional {
  if (!config.use_nope) return { mode: 'rope' };
  if (config.long_context_mode === 'nope') return { mode: 'nope' };
  return { mode: 'safe_nope', cutoff: config.nope_after_position };
}

export function quasarOptions(config: QuasarLongConfig): QuasarAttentionOptions {
  const { quasar_variant, quasar_beta, qk_l2norm, quasar_decay, hybrid_quasar_use_rope } = optionsOf(config);
  return {
    at: 'attention.quasar_attention',
    heads: config.num_attention_heads,
    headDim: config.head_dim,
    convSize: 0,
    rotates: hybrid_quasar_use_rope,
    isGuarded: true,
    normEps: config.rms_norm_eps,
    quasar_variant,
    quasar_beta,
    qk_l2norm,
    quasar_decay,
  };
}

export function engramOptions(config: QuasarLongConfig): EngramOptions {
  const { engram_gate: gate, engram_token_map: tokenMap } = optionsOf(config);
  return {
    at: 'engram',
    dim: config.engram_dim,
    slots: config.engram_slots,
    heads: config.engram_num_heads,
    orders: config.engram_ngram_orders,
    gate,
    tokenMap,
    lrScale: config.engram_lr_multiplier,
  };
}

/**
 * Log decay per token of the heads of a GLA branch: ALiBi slopes (Press et al. 2022), slower in deeper layers. Half-lives of
 * the slowest head lie below 1,700 tokens in the published model: the branch is local. Architecture §3.6.
 */
export function glaLogDecay(config: QuasarLongConfig, layer: number): number[] {
  const L = config.num_hidden_layers;
  const depth = L > 1 ? 1 - Math.max(layer - 1, 0) / (L - 1) + 1e-5 : 1;
  return slopes(config.num_attention_heads).map((slope) => -slope * depth);
}

function slopes(heads: number): number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  const geometric = (n: number) => Array.from({ length: n }, (_, h) => 2 ** ((-8 * (h + 1)) / n));
  if (power === heads) return geometric(heads);
  // In between: the next power's, every second one.
  const rest = geometric(2 * power).filter((_, h) => h % 2 === 0);
  return [...geometric(power), ...rest.slice(0, heads - power)];
}
