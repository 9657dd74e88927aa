/**
 * @file The configuration of the quasar family under its public field names, read strictly, and the sizes we ship.
 * Source: the public Quasar-3B config (architecture §2.1). Fields that change nothing here (`attn_mode`, …) are kept
 * because a published config must round-trip.
 */
import type { Issue, Result } from '@quasar/base';

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

export const SIZES = {
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
  '3b': QUASAR_3B,
} as const satisfies Record<string, QuasarConfig>;

export type SizeName = keyof typeof SIZES;

/** Layer i is a Quasar or a GLA layer by its place in the period. */
export function layerType(config: QuasarConfig, layer: number): 'quasar' | 'gla' {
  const place = layer % (config.quasar_layers + config.gated_layers);
  const quasar = config.use_gla_first ? place >= config.gated_layers : place < config.quasar_layers;
  return quasar ? 'quasar' : 'gla';
}

export function isMoe(config: QuasarConfig, layer: number): boolean {
  return layer >= config.dense_input_layers;
}

/** GLA key width per head. */
export function glaKeyDim(config: QuasarConfig): number {
  return (config.d_model * config.expand_k) / config.n_heads;
}

const POSITIVE_INTEGERS = [
  'vocab_size',
  'd_model',
  'n_layers',
  'n_heads',
  'head_dim',
  'd_ff',
  'max_seq_len',
  'conv_size',
  'num_routed_experts',
  'top_k',
  'shared_expert_size',
  'routed_expert_size',
  'num_loops',
] as const;

/** Reads a config.json strictly: unknown, missing and ill-typed fields are all reported. */
export function parseConfig(json: unknown): Result<QuasarConfig> {
  const issues: Issue[] = [];
  const issue = (code: string, field: string, message: string, hint?: string) =>
    issues.push({
      code: `config.${code}`,
      path: `config.json/${field}`,
      message,
      ...(hint === undefined ? {} : { hint }),
    });
  if (json === null || typeof json !== 'object' || Array.isArray(json)) {
    return {
      ok: false,
      issues: [{ code: 'config.not_object', path: 'config.json', message: 'expected a JSON object' }],
    };
  }
  const given = json as Record<string, unknown>;
  for (const field of Object.keys(given)) {
    if (!Object.hasOwn(QUASAR_3B, field))
      issue('unknown_field', field, 'this field is not part of a quasar config', 'remove it');
  }
  for (const [field, example] of Object.entries(QUASAR_3B)) {
    const value = given[field];
    if (value === undefined)
      issue('missing_field', field, 'this field is missing', `the 3B value is ${JSON.stringify(example)}`);
    else if (typeof value !== typeof example || (typeof value === 'number' && !Number.isFinite(value))) {
      issue('wrong_type', field, `expected a ${typeof example}, got ${JSON.stringify(value)}`);
    } else if (typeof example === 'string' && value !== example) {
      issue('wrong_value', field, `expected ${JSON.stringify(example)}, got ${JSON.stringify(value)}`);
    }
  }
  if (issues.length > 0) return { ok: false, issues };

  const config = given as unknown as QuasarConfig;
  for (const field of POSITIVE_INTEGERS) {
    const value = config[field];
    if (!Number.isInteger(value) || value < 1 || value > 2 ** 24)
      issue('out_of_range', field, `expected an integer of 1 to 2^24, got ${value}`);
  }
  if (config.tie_word_embeddings !== false)
    issue('wrong_value', 'tie_word_embeddings', 'the family has an untied head: expected false');
  if (config.dropout !== 0) issue('wrong_value', 'dropout', `expected 0, got ${config.dropout}`);
  if (config.head_dim * config.n_heads !== config.d_model) {
    issue(
      'heads',
      'head_dim',
      `n_heads·head_dim must equal d_model: ${config.n_heads}·${config.head_dim} ≠ ${config.d_model}`,
    );
  }
  if (config.head_dim % 16 !== 0 || glaKeyDim(config) % 16 !== 0) {
    issue('heads', 'head_dim', 'head widths must be multiples of 16', 'choose another n_heads or expand_k');
  }
  if (config.top_k > config.num_routed_experts)
    issue('experts', 'top_k', `top_k ${config.top_k} exceeds ${config.num_routed_experts} experts`);
  if (config.expand_v !== 1) issue('wrong_value', 'expand_v', `expected 1, got ${config.expand_v}`);
  if (
    !(config.bigmac_r > 0 && config.bigmac_r <= 1) ||
    !Number.isInteger(config.d_model * config.bigmac_r) ||
    !Number.isInteger(config.routed_expert_size / config.bigmac_r)
  ) {
    issue('experts', 'bigmac_r', `d_model·r and routed_expert_size/r must be whole, r = ${config.bigmac_r}`);
  }
  if (config.quasar_layers + config.gated_layers < 1)
    issue('layers', 'quasar_layers', 'a period needs at least one layer');
  return issues.length > 0 ? { ok: false, issues } : { ok: true, value: config };
}
