/** @file Reads a config.json of the quasar_long family strictly: what a field may be, and which fields must agree. */
import type { Issue, Result } from '@quasar/base';
import { show } from '../../show.ts';
import { between, type Fields, fieldIssues, flag, type Kind, listOf, only, upTo, whole } from '../fields.ts';
import type { QuasarLongOptions } from './config.ts';
import { BRANCHES, enabledCycle, QUASAR_LONG_SIZES, type QuasarLongConfig, rotaryDim } from './config.ts';

const MAX_LAYERS = 1024;
const MAX_EXPERTS = 2 ** 16;
const LONGEST = 2 ** 31 - 1;
/** No two primes below 2^31 lie further apart: a table may have so many rows more than its share. */
const LARGEST_GAP = 292;

type Published = Omit<QuasarLongConfig, keyof QuasarLongOptions>;

const REQUIRED: { readonly [F in keyof Published]: Kind } = {
  model_type: only('quasar_long'),
  vocab_size: whole(1),
  hidden_size: whole(1),
  intermediate_size: whole(1),
  num_hidden_layers: whole(1, MAX_LAYERS),
  // The decay of every head and the frequency of every pair of channels are listed in the tensor table.
  num_attention_heads: whole(1, 4096),
  num_key_value_heads: whole(1, 4096),
  head_dim: whole(1, 2 ** 16),
  hidden_act: only('silu'),
  rms_norm_eps: between(0, 1),
  use_rmsnorm: only(true),
  use_qk_norm: only(true),
  use_qkv_bias: only(false),
  use_bias: only(false),
  attention_dropout: only(0),
  embedding_dropout: only(0),
  output_dropout: only(0),
  partial_rotary_factor: upTo(0, 1),
  rope_theta: between(0, 1e12),
  rope_scaling: only(null),
  tie_word_embeddings: only(false),
  initializer_range: upTo(0, 1e3),
  pad_token_id: whole(0),
  eos_token_id: whole(0),
  num_experts: whole(1, MAX_EXPERTS),
  num_experts_per_tok: whole(1, MAX_EXPERTS),
  num_shared_experts: whole(0, 64),
  moe_intermediate_size: whole(1),
  moe_shared_expert_intermediate_size: whole(0),
  first_k_dense_replace: whole(0),
  n_group: whole(1, MAX_EXPERTS),
  topk_group: whole(1, MAX_EXPERTS),
  score_function: only('sigmoid'),
  norm_topk_prob: only(true),
  routed_scaling_factor: between(0, 1e3),
  router_dtype: only('fp32'),
  moe_router_enable_expert_bias: only(true),
  hybrid_attention_layers: listOf(whole(0, MAX_LAYERS - 1), MAX_LAYERS),
  hybrid_branch_layout: only('layerwise'),
  hybrid_layerwise_cycle: listOf(only(...BRANCHES), MAX_LAYERS),
  hybrid_quasar_enabled: flag,
  hybrid_raven_enabled: flag,
  hybrid_gla_enabled: flag,
  hybrid_replacement_mode: only('add', 'full', 'replace', 'linear'),
  hybrid_eval_mode: only('hybrid_add', 'gqa_only', 'quasar_forced', 'raven_forced', 'gla_forced', 'mixed_forced'),
  hybrid_eval_force_branch: only(''),
  hybrid_alpha_init: upTo(-1e3, 1e3),
  hybrid_use_short_conv: only(false),
  hybrid_gla_mode: only('chunk'),
  hybrid_gla_expand_k: only(1),
  hybrid_gla_expand_v: only(1),
  hybrid_raven_slots: whole(1, 2 ** 16),
  hybrid_raven_topk: whole(1, 2 ** 16),
  hybrid_raven_decay_type: only('Mamba2'),
  use_nope: flag,
  long_context_mode: only('rope_short_nope_long', 'nope'),
  nope_after_position: whole(0, LONGEST),
  max_position_embeddings: whole(1, LONGEST),
  max_seq_length: whole(1, LONGEST),
  max_sequence_length: whole(1, LONGEST),
  num_loops: whole(1, 64),
  use_looped_injection: flag,
  num_nextn_predict_layers: only(0),
  mtp_loss_scaling_factor: only(0),
  engram_layers: listOf(whole(0, MAX_LAYERS - 1), MAX_LAYERS),
  engram_dim: whole(1, 2 ** 20),
  engram_slots: whole(1, 2 ** 31 - 1),
  engram_num_heads: whole(1, 1024),
  engram_ngram_orders: listOf(whole(1, 64), 64),
  engram_residual_scale: upTo(0, 1e3),
  engram_lr_multiplier: upTo(0, 1e3),
};

const OPTIONAL: { readonly [F in keyof QuasarLongOptions]: Kind } = {
  hybrid_output_adapter_rank: whole(0, 2 ** 16),
  hybrid_output_adapter_alpha: upTo(0, 1e6),
  hybrid_gla_group_norm_size: whole(1),
  hybrid_quasar_use_rope: flag,
  use_parcae_loop_stabilizer: flag,
  anchor_grad_scale_gate: upTo(0, 1e3),
  anchor_grad_scale_P: upTo(0, 1e3),
  engram_gate: only('rmsnorm', 'public'),
  engram_token_map: only('hash', 'canonical'),
  quasar_variant: only('exact', 'preview_chunk', 'preview_recurrent', 'fork_v1'),
  quasar_beta: only('softplus', 'sigmoid', 'static'),
  qk_l2norm: flag,
  quasar_decay: only('none', 'scalar', 'channel'),
};

const FIELDS: Fields = {
  family: 'quasar_long',
  required: REQUIRED,
  optional: OPTIONAL,
  // `auto_map` names code to run: nothing here runs it, and no config that is written has it.
  ignored: new Set([
    'architectures',
    'auto_map',
    'dtype',
    'max_window_layers',
    'output_router_logits',
    'rope_parameters',
    'torch_dtype',
    'transformers_version',
    'use_cache',
  ]),
  example: QUASAR_LONG_SIZES.preview,
};

/** Every issue at once; fields that do not fit together once each is fine. What others read is left out of the result. */
export function parseQuasarLongConfig(json: unknown): Result<QuasarLongConfig> {
  const given = json as Record<string, unknown>;
  const issues = [...fieldIssues(given, FIELDS), ...rotationIssues(given)];
  if (issues.length > 0) return { ok: false, issues };
  const kept = Object.entries(given).filter(([field]) => !FIELDS.ignored.has(field));
  const config = Object.fromEntries(kept) as unknown as QuasarLongConfig;
  const disagreements = relationIssues(config);
  return disagreements.length > 0 ? { ok: false, issues: disagreements } : { ok: true, value: config };
}

/** `rope_parameters` says again what other fields say: it must say the same. */
function rotationIssues({ rope_parameters: said, ...given }: Record<string, unknown>): Issue[] {
  if (said === undefined) return [];
  const { rope_theta, partial_rotary_factor } = given;
  const expected: Record<string, unknown> = { rope_type: 'default', rope_theta, partial_rotary_factor };
  const path = 'config.json/rope_parameters';
  if (said === null || typeof said !== 'object' || Array.isArray(said))
    return [{ code: 'config.wrong_type', path, message: `expected an object, got ${show(said)}` }];
  const differs = Object.entries(said).find(([field, value]) => value !== expected[field]);
  if (!differs) return [];
  const message = `${show(differs[0])} is ${show(differs[1])}, elsewhere ${show(expected[differs[0]])}`;
  return [{ code: 'config.wrong_value', path, message }];
}

function relationIssues(c: QuasarLongConfig): Issue[] {
  const issues: Issue[] = [];
  const require = (holds: boolean, code: string, field: keyof QuasarLongConfig, message: string) => {
    if (!holds) issues.push({ code, path: `config.json/${field}`, message });
  };
  const { num_attention_heads: H, num_key_value_heads: Hk, head_dim: E, hidden_size: D } = c;
  require(H * E === D, 'config.heads', 'head_dim', `heads times head_dim must equal hidden_size: ${H}·${E} ≠ ${D}`);
  require(E % 16 === 0, 'config.heads', 'head_dim', `expected a multiple of 16, got ${E}`);
  const shared = `${H} query heads cannot share ${Hk} key heads equally`;
  require(H % Hk === 0, 'config.heads', 'num_key_value_heads', shared);
  const turned = `head_dim times it must be an even number, got ${rotaryDim(c)}`;
  require(rotaryDim(c) % 2 === 0, 'config.heads', 'partial_rotary_factor', turned);
  const { num_experts: X, num_experts_per_tok: K, n_group: G, topk_group: kept } = c;
  require(X % G === 0, 'config.experts', 'n_group', `${X} experts in ${G} groups`);
  require(kept <= G, 'config.experts', 'topk_group', `${kept} of ${G} groups`);
  const reachable = Math.floor(X / G) * kept;
  const experts = `${K} experts per token, ${reachable} in the groups of a token`;
  require(K <= reachable, 'config.experts', 'num_experts_per_tok', experts);
  const width = c.num_shared_experts * c.moe_intermediate_size;
  const stated = c.moe_shared_expert_intermediate_size;
  const sharedWidth = `num_shared_experts times moe_intermediate_size is ${width}, got ${stated}`;
  require(stated === width, 'config.experts', 'moe_shared_expert_intermediate_size', sharedWidth);
  for (const field of ['hybrid_attention_layers', 'engram_layers'] as const) {
    const beyond = c[field].find((layer) => layer >= c.num_hidden_layers);
    require(beyond === undefined, 'config.layers', field, `layer ${beyond} of ${c.num_hidden_layers}`);
    const isUnique = new Set(c[field]).size === c[field].length;
    require(isUnique, 'config.layers', field, 'a layer appears twice');
  }
  const layers = c.hybrid_attention_layers;
  const none = 'no branch of the cycle is enabled';
  const hasBranch = layers.length === 0 || enabledCycle(c).length > 0;
  require(hasBranch, 'config.layers', 'hybrid_layerwise_cycle', none);
  const { hybrid_raven_slots: slots, hybrid_raven_topk: chosen } = c;
  require(slots % 16 === 0, 'config.memory', 'hybrid_raven_slots', `expected a multiple of 16, got ${slots}`);
  require(chosen <= slots, 'config.memory', 'hybrid_raven_topk', `${chosen} of ${slots} slots`);
  if (c.engram_layers.length > 0) {
    const { engram_ngram_orders: orders, engram_num_heads: perOrder, engram_slots: rows } = c;
    require(orders.length > 0, 'config.memory', 'engram_ngram_orders', 'a memory of n-grams needs at least one order');
    const each = `${rows} rows for ${perOrder * orders.length} tables`;
    require(perOrder * orders.length <= rows, 'config.memory', 'engram_slots', each);
    const countable = rows + perOrder * orders.length * LARGEST_GAP < 2 ** 31;
    require(countable, 'config.memory', 'engram_slots', `the rows of all tables must stay below 2^31, got ${rows}`);
  }
  const groups = c.hybrid_gla_group_norm_size ?? H;
  require(D % groups === 0, 'config.heads', 'hybrid_gla_group_norm_size', `${D} channels in ${groups} groups`);
  for (const field of ['pad_token_id', 'eos_token_id'] as const)
    require(c[field] < c.vocab_size, 'config.token_id', field, `token ${c[field]} of a vocabulary of ${c.vocab_size}`);
  return issues;
}
