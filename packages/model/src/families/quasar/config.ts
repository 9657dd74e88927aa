/**
 * @file The configuration of the quasar family under its public field names, and the sizes we ship.
 * Source: the public Quasar-3B config (architecture §2.1). Fields that change nothing here (`attn_mode`, …) are kept
 * because a published config must round-trip.
 */
import type { QuasarAttentionOptions } from '../../layers/quasar-attention.ts';

export interface QuasarConfig {
  model_type: 'quasar';
  vocab_size: number;
  d_model: number;
  n_layers: number;
  n_heads: number;
  head_dim: number;
  d_ff: number;
  max_seq_len: number;
  rms_norm_eps: number;
  dropout: number;
  initializer_range: number;
  tie_word_embeddings: false;
  /** Quasar layers, then GLA layers, in each period. */
  quasar_layers: number;
  gated_layers: number;
  use_gla_first: boolean;
  use_short_conv: boolean;
  conv_size: number;
  conv_bias: boolean;
  allow_neg_eigval: boolean;
  attn_mode: 'chunk';
  gla_mode: 'chunk';
  expand_k: number;
  expand_v: number;
  /** Latent memory of the GLA layers; 0 slots: none. */
  memory_slots: number;
  memory_dim: number;
  moe_type: 'bigmac';
  num_shared_experts: number;
  num_routed_experts: number;
  top_k: number;
  shared_expert_size: number;
  /** Width before the bottleneck division: an expert is routed_expert_size / bigmac_r wide. */
  routed_expert_size: number;
  dense_input_layers: number;
  bigmac_r: number;
  residual_scale: number;
  moe_z_loss_coeff: number;
  moe_aux_loss_coeff: number;
  smebu_kappa: number;
  smebu_lambda: number;
  smebu_beta: number;
  num_loops: number;
  use_looped_injection: boolean;
  looped_injection_init: number;
  rope_theta: number;
  hidden_act: 'silu';
  bos_token_id: number;
  eos_token_id: number;
}

/** The published Quasar-3B (A1B). */
const QUASAR_3B: QuasarConfig = {
  model_type: 'quasar',
  vocab_size: 248320,
  d_model: 1536,
  n_layers: 24,
  n_heads: 12,
  head_dim: 128,
  d_ff: 4096,
  max_seq_len: 16384,
  rms_norm_eps: 1e-6,
  dropout: 0,
  initializer_range: 0.02,
  tie_word_embeddings: false,
  quasar_layers: 4,
  gated_layers: 2,
  use_gla_first: false,
  use_short_conv: true,
  conv_size: 4,
  conv_bias: false,
  allow_neg_eigval: false,
  attn_mode: 'chunk',
  gla_mode: 'chunk',
  expand_k: 0.5,
  expand_v: 1,
  memory_slots: 128,
  memory_dim: 128,
  moe_type: 'bigmac',
  num_shared_experts: 1,
  num_routed_experts: 64,
  top_k: 4,
  shared_expert_size: 3072,
  routed_expert_size: 256,
  dense_input_layers: 4,
  bigmac_r: 0.25,
  residual_scale: 0.1,
  moe_z_loss_coeff: 1e-4,
  moe_aux_loss_coeff: 1e-4,
  smebu_kappa: 2,
  smebu_lambda: 2e-3,
  smebu_beta: 0.5,
  num_loops: 1,
  use_looped_injection: false,
  looped_injection_init: 0.1,
  rope_theta: 1e6,
  hidden_act: 'silu',
  bos_token_id: 1,
  eos_token_id: 2,
};

/**
 * The laptop sizes have no latent memory. Their residual scale keeps depth x scale near the 3B value: with 6 layers
 * at 0.1 the blocks would hardly move the residual stream.
 */
const LAPTOP: QuasarConfig = {
  ...QUASAR_3B,
  vocab_size: 1024,
  n_layers: 6,
  max_seq_len: 1024,
  memory_slots: 0,
  memory_dim: 0,
  num_routed_experts: 8,
  top_k: 2,
  dense_input_layers: 2,
  bigmac_r: 0.5,
  residual_scale: 0.4,
  bos_token_id: 0,
  eos_token_id: 1,
};

export const QUASAR_SIZES = {
  nano: {
    ...LAPTOP,
    d_model: 128,
    n_heads: 2,
    head_dim: 64,
    d_ff: 384,
    shared_expert_size: 256,
    routed_expert_size: 64,
  },
  tiny: {
    ...LAPTOP,
    d_model: 192,
    n_heads: 3,
    head_dim: 64,
    d_ff: 512,
    shared_expert_size: 384,
    routed_expert_size: 64,
  },
  mini: {
    ...LAPTOP,
    vocab_size: 4096,
    d_model: 256,
    n_heads: 4,
    head_dim: 64,
    d_ff: 768,
    shared_expert_size: 384,
    routed_expert_size: 128,
  },
  small: {
    ...LAPTOP,
    vocab_size: 16384,
    n_layers: 12,
    max_seq_len: 4096,
    d_model: 512,
    n_heads: 8,
    head_dim: 64,
    d_ff: 1536,
    shared_expert_size: 1024,
    routed_expert_size: 256,
    num_routed_experts: 16,
    residual_scale: 0.2,
  },
  '3b': QUASAR_3B,
} as const satisfies Record<string, QuasarConfig>;

/** Layer i is a Quasar or a GLA layer by its place in the period. */
export function layerType(config: QuasarConfig, layer: number): 'quasar' | 'gla' {
  const place = layer % (config.quasar_layers + config.gated_layers);
  const quasar = config.use_gla_first ? place >= config.gated_layers : place < config.quasar_layers;
  return quasar ? 'quasar' : 'gla';
}

export function isMoe(config: QuasarConfig, layer: number): boolean {
  return layer >= config.dense_input_layers;
}

export function attentionOptions(config: QuasarConfig): QuasarAttentionOptions {
  return {
    at: 'attn',
    heads: config.n_heads,
    headDim: config.head_dim,
    convSize: config.use_short_conv ? config.conv_size : 0,
    rotates: true,
    isGuarded: false,
    quasar_variant: 'exact',
    quasar_beta: 'softplus',
    qk_l2norm: true,
    quasar_decay: 'none',
  };
}

/** GLA key width per head. */
export function glaKeyDim(config: QuasarConfig): number {
  return (config.d_model * config.expand_k) / config.n_heads;
}
