/** @file Reads a config.json strictly: what a field may be, and which fields must agree. */
import type { Issue, Result } from '@quasar/base';
import { SIBLINGS } from '../../layers/sibling-attention.ts';
import { show } from '../../show.ts';
import { between, type Fields, fieldIssues, flag, type Kind, only, upTo, whole } from '../fields.ts';
import { glaKeyDim, QUASAR_SIZES, type QuasarConfig, type QuasarOptions } from './config.ts';

const REQUIRED: { readonly [F in keyof Omit<QuasarConfig, keyof QuasarOptions>]: Kind } = {
  model_type: only('quasar'),
  vocab_size: whole(1),
  d_model: whole(1),
  n_layers: whole(1, 1024),
  n_heads: whole(1),
  head_dim: whole(1),
  d_ff: whole(1),
  max_seq_len: whole(1, 2 ** 31 - 1),
  rms_norm_eps: between(0, 1),
  dropout: only(0),
  initializer_range: upTo(0, 1e3),
  tie_word_embeddings: only(false),
  quasar_layers: whole(0),
  gated_layers: whole(0),
  use_gla_first: flag,
  use_short_conv: flag,
  conv_size: whole(1, 64),
  conv_bias: only(false),
  allow_neg_eigval: only(false),
  attn_mode: only('chunk'),
  gla_mode: only('chunk'),
  expand_k: between(0, 64),
  expand_v: only(1),
  // Making the fixed bank takes slots · dim² operations.
  memory_slots: whole(0, 4096),
  memory_dim: whole(0, 512),
  moe_type: only('bigmac'),
  num_shared_experts: whole(0, 64),
  num_routed_experts: whole(1, 2 ** 16),
  top_k: whole(1, 2 ** 16),
  shared_expert_size: whole(1),
  routed_expert_size: whole(1),
  dense_input_layers: whole(0),
  bigmac_r: upTo(2 ** -10, 1),
  residual_scale: between(0, 1e3),
  moe_z_loss_coeff: upTo(0, 1e3),
  moe_aux_loss_coeff: upTo(0, 1e3),
  smebu_kappa: upTo(0, 1e3),
  smebu_lambda: upTo(0, 1),
  smebu_beta: upTo(0, 1 - 2 ** -20),
  num_loops: whole(1, 64),
  use_looped_injection: flag,
  looped_injection_init: between(0, 1),
  rope_theta: between(0, 1e12),
  hidden_act: only('silu'),
  bos_token_id: whole(0),
  eos_token_id: whole(0),
};

const OPTIONAL: { readonly [F in keyof QuasarOptions]: Kind } = {
  attention: only('quasar', ...SIBLINGS),
  quasar_variant: only('exact', 'preview_chunk', 'preview_recurrent', 'fork_v1'),
  quasar_beta: only('softplus', 'sigmoid', 'static'),
  qk_l2norm: flag,
  quasar_decay: only('none', 'scalar', 'channel'),
  positional: only('rope', 'safe_nope', 'nope'),
  nope_after_position: whole(0, 2 ** 31 - 1),
  memory_mode: only('causal', 'compat'),
  memory_bank: only('fixed', 'learned'),
  injection_site: only('layer_input', 'loop_end'),
  anchor_grad_scale_gate: upTo(0, 1e3),
  anchor_grad_scale_P: upTo(0, 1e3),
  route_scale: between(0, 1e3),
};

const FIELDS: Fields = {
  family: 'quasar',
  required: REQUIRED,
  optional: OPTIONAL,
  // Names code to run in the published checkpoints: nothing here runs it, and no config that is written has it.
  ignored: new Set(['auto_map']),
  example: QUASAR_SIZES['3b'],
};

/** Unknown, missing, ill-typed and impossible fields, all of them; fields that do not fit together once each is fine. */
export function parseQuasarConfig(json: unknown): Result<QuasarConfig> {
  const given = json as Record<string, unknown>;
  const issues = fieldIssues(given, FIELDS);
  if (issues.length > 0) return { ok: false, issues };
  const kept = Object.entries(given).filter(([field]) => !FIELDS.ignored.has(field));
  const config = Object.fromEntries(kept) as unknown as QuasarConfig;
  const disagreements = relationIssues(config);
  return disagreements.length > 0 ? { ok: false, issues: disagreements } : { ok: true, value: config };
}

function relationIssues(c: QuasarConfig): Issue[] {
  const issues: Issue[] = [];
  const require = (holds: boolean, code: string, field: keyof QuasarConfig, message: string) => {
    if (!holds) issues.push({ code, path: `config.json/${field}`, message });
  };
  const heads = `n_heads·head_dim must equal d_model: ${c.n_heads}·${c.head_dim} ≠ ${c.d_model}`;
  require(c.n_heads * c.head_dim === c.d_model, 'config.heads', 'head_dim', heads);
  require(c.head_dim % 16 === 0, 'config.heads', 'head_dim', `expected a multiple of 16, got ${c.head_dim}`);
  const keys = glaKeyDim(c);
  const keyMessage = `d_model·expand_k/n_heads must be a multiple of 16, got ${keys}`;
  require(keys > 0 && keys % 16 === 0, 'config.heads', 'expand_k', keyMessage);
  require(c.quasar_layers + c.gated_layers > 0, 'config.layers', 'quasar_layers', 'a period needs at least one layer');
  const memory = `memory_slots and memory_dim must both be 0 or neither: ${c.memory_slots}, ${c.memory_dim}`;
  require((c.memory_slots === 0) === (c.memory_dim === 0), 'config.memory', 'memory_slots', memory);
  const sizes = `memory_slots and memory_dim must be multiples of 16, got ${c.memory_slots} and ${c.memory_dim}`;
  require(c.memory_slots % 16 === 0 && c.memory_dim % 16 === 0, 'config.memory', 'memory_dim', sizes);
  const experts = `top_k ${c.top_k} exceeds ${c.num_routed_experts} experts`;
  require(c.top_k <= c.num_routed_experts, 'config.experts', 'top_k', experts);
  const [bottleneck, width] = [c.d_model * c.bigmac_r, c.routed_expert_size / c.bigmac_r];
  const bigmac = `d_model·r and routed_expert_size/r must be whole, got ${bottleneck} and ${width}`;
  require(Number.isInteger(bottleneck) && Number.isInteger(width), 'config.experts', 'bigmac_r', bigmac);
  for (const field of ['bos_token_id', 'eos_token_id'] as const)
    require(c[field] < c.vocab_size, 'config.token_id', field, `token ${c[field]} of a vocabulary of ${c.vocab_size}`);
  const { attention = 'quasar' } = c;
  for (const field of ['quasar_variant', 'quasar_beta', 'qk_l2norm', 'quasar_decay'] as const) {
    const message = `expected no rule of Quasar attention for layers of ${attention}, got ${show(c[field])}`;
    require(attention === 'quasar' || c[field] === undefined, 'config.wrong_value', field, message);
  }
  return issues;
}
