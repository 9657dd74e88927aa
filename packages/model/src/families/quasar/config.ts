/**
 * @file The configuration of the quasar family under its public field names, and the sizes we ship.
 * Source: the public Quasar-3B config (architecture §2.1). Fields that change nothing here (`attn_mode`, …) are kept
 * because a published config must round-trip.
 */

import type { QuasarAttentionOptions } from '../../layers/quasar-attention.ts';
import type { Sibling } from '../../layers/sibling-attention.ts';
import type { WriteRule } from '../../layers/write-gate.ts';
import type { Positional } from '../../positional.ts';

export interface QuasarConfig extends Partial<QuasarOptions> {
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

/** Fields that published configs do not have; absent ones have the values of `optionsOf`. */
export interface QuasarOptions extends WriteRule {
  /** What stands in the place of Quasar attention, for comparisons; the rule of writing is then that of the mechanism. */
  attention: 'quasar' | Sibling;
  /** How the model was trained to know positions; `forward` can be told otherwise. */
  positional: Positional['mode'];
  /** First position that `safe_nope` does not rotate. */
  nope_after_position: number;
  /**
   * `causal`: tokens read what completed segments before theirs wrote. `compat`: the public form, where all tokens of a
   * call read what all its segments wrote, also later ones; nothing is carried from call to call. For evaluation only.
   */
  memory_mode: 'causal' | 'compat';
  /** Memory at the start of a document: orthogonal rows that are the same in every model, or a tensor of the checkpoint. */
  memory_bank: 'fixed' | 'learned';
  /** Where σ(γ)·P is added: before each layer, or after the last layer of each loop. */
  injection_site: 'layer_input' | 'loop_end';
  /** Factors on the gradients of γ and of P by injection. Default 1/num_loops. */
  anchor_grad_scale_gate: number;
  anchor_grad_scale_P: number;
  /** Factor on the routed experts beside the shared ones. Default √top_k, in training and evaluation alike. */
  route_scale: number;
}

export function optionsOf(config: QuasarConfig): QuasarOptions {
  return {
    attention: config.attention ?? 'quasar',
    quasar_variant: config.quasar_variant ?? 'exact',
    quasar_beta: config.quasar_beta ?? 'softplus',
    qk_l2norm: config.qk_l2norm ?? true,
    quasar_decay: config.quasar_decay ?? 'none',
    positional: config.positional ?? 'rope',
    nope_after_position: config.nope_after_position ?? 512,
    memory_mode: config.memory_mode ?? 'causal',
    memory_bank: config.memory_bank ?? 'fixed',
    injection_site: config.injection_site ?? 'layer_input',
    anchor_grad_scale_gate: config.anchor_grad_scale_gate ?? 1 / config.num_loops,
    anchor_grad_scale_P: config.anchor_grad_scale_P ?? 1 / config.num_loops,
    route_scale: config.route_scale ?? Math.sqrt(config.top_k),
  };
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

/**
 * A model of the proportions of Quasar-3B by its depth alone, a multiple of its period of 6 layers (24: Quasar-3B itself).
 * Heads of 128 channels, one for two layers, so that the width is 64 L; all widths inside are fixed shares of it, one layer
 * in six is dense, and depth times residual scale stays what it is. Experts, chosen experts and memory keep their numbers.
 * Parameters grow with about 38·64² L³, two embedding tables besides.
 */
export function ofDepth(L: number): QuasarConfig {
  const D = 64 * L;
  return {
    ...QUASAR_3B,
    n_layers: L,
    d_model: D,
    n_heads: L / 2,
    d_ff: (8 * D) / 3,
    shared_expert_size: 2 * D,
    routed_expert_size: D / 6,
    dense_input_layers: L / 6,
    residual_scale: 24 / L / 10,
  };
}

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
  '20b': ofDepth(48),
  '100b': ofDepth(84),
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

/** The GLA layers own the latent memory. */
export function hasMemory(config: QuasarConfig, layer: number): boolean {
  return config.memory_slots > 0 && layerType(config, layer) === 'gla';
}

export function attentionOptions(config: QuasarConfig): QuasarAttentionOptions {
  return {
    ...optionsOf(config),
    at: 'attn',
    heads: config.n_heads,
    headDim: config.head_dim,
    convSize: config.use_short_conv ? config.conv_size : 0,
    rotates: true,
    isGuarded: false,
    // fla's default for gated output norms.
    normEps: 1e-5,
  };
}

/** GLA key width per head. */
export function glaKeyDim(config: QuasarConfig): number {
  return (config.d_model * config.expand_k) / config.n_heads;
}
