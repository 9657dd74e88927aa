/**
 * @file Reads a config.json of Qwen3.5 strictly: that of a text model, or that of a multimodal one, of which only the text
 * counts. Fields that change nothing here are known by name; anything else is refused.
 */
import type { Issue, Result } from '@quasar/base';
import { between, either, fieldIssues, flag, type Kind, listOf, object, only, orNull, upTo, whole } from '../fields.ts';
import { expertsOf, type LayerType, linearWidths, type Qwen35Config, rotaryDim } from './config.ts';

type Json = Readonly<Record<string, unknown>>;
type Kinds = { readonly [F in keyof Qwen35Config]?: Kind };

const MAX_LAYERS = 1024;
const MAX_HEADS = 2 ** 16;
const tokenId = orNull(whole(0));
const theta = between(0, 1e12);
const share = upTo(0, 1);

/** Fields that say what feed-forwards are made of, by `model_type`. */
const FEED_FORWARDS: Readonly<Record<Qwen35Config['model_type'], Kinds>> = {
  qwen3_5_text: { intermediate_size: whole(1) },
  qwen3_5_moe_text: {
    num_experts: whole(1, 2 ** 16),
    num_experts_per_tok: whole(1, 2 ** 16),
    moe_intermediate_size: whole(1),
    shared_expert_intermediate_size: whole(1),
  },
};

const REQUIRED: Kinds = {
  model_type: only('qwen3_5_text', 'qwen3_5_moe_text'),
  vocab_size: whole(1),
  hidden_size: whole(1),
  num_hidden_layers: whole(1, MAX_LAYERS),
  num_attention_heads: whole(1, MAX_HEADS),
  num_key_value_heads: whole(1, MAX_HEADS),
  head_dim: whole(16, 2 ** 16),
  linear_num_key_heads: whole(1, MAX_HEADS),
  linear_num_value_heads: whole(1, MAX_HEADS),
  linear_key_head_dim: whole(16, 2 ** 16),
  linear_value_head_dim: whole(16, 2 ** 16),
  linear_conv_kernel_dim: whole(1, 64),
  hidden_act: only('silu'),
  rms_norm_eps: between(0, 1),
  max_position_embeddings: whole(1, 2 ** 31 - 1),
};

/** What public configs may leave out, and what it is then. */
const DEFAULTS = {
  attention_bias: false,
  attention_dropout: 0,
  attn_output_gate: true,
  initializer_range: 0.02,
  tie_word_embeddings: false,
  bos_token_id: null,
  eos_token_id: null,
  pad_token_id: null,
} as const satisfies Partial<Qwen35Config>;

const OPTIONAL: { readonly [F in keyof typeof DEFAULTS]: Kind } & Record<string, Kind> = {
  attention_bias: flag,
  attention_dropout: only(0),
  attn_output_gate: only(true),
  initializer_range: upTo(0, 1e3),
  tie_word_embeddings: flag,
  bos_token_id: tokenId,
  eos_token_id: either(tokenId, listOf(whole(0), 64)),
  pad_token_id: tokenId,
  layer_types: listOf(only('linear_attention', 'full_attention'), MAX_LAYERS),
  rope_parameters: object,
  // Older spellings of these two.
  full_attention_interval: whole(1, MAX_LAYERS),
  rope_theta: theta,
  partial_rotary_factor: share,
  router_aux_loss_coef: upTo(0, 1e3),
  // Layers without experts: a model with some has a mixture everywhere.
  mlp_only_layers: listOf(whole(0), 0),
};

/** How others run or trained the model, and its draft heads. */
const IGNORED = new Set(
  (
    'architectures dtype torch_dtype transformers_version use_cache mamba_ssm_dtype mtp_num_hidden_layers ' +
    'mtp_use_dedicated_embeddings output_router_logits'
  ).split(' '),
);

const ROPE = {
  required: { rope_theta: theta },
  optional: {
    rope_type: only('default'),
    partial_rotary_factor: share,
    // Sections of the rotation by time, height and width: in text all three are the position of the token.
    mrope_section: listOf(whole(0), 3),
    mrope_interleaved: flag,
  },
  ignored: new Set<string>(),
  family: 'qwen3_5',
};

/** Of a multimodal config: the text, the vision tower, and tokens that stand for pictures. */
const OUTER = {
  required: { text_config: object },
  optional: { model_type: only('qwen3_5', 'qwen3_5_moe'), vision_config: object, tie_word_embeddings: flag },
  ignored: new Set([
    ...['architectures', 'dtype', 'torch_dtype', 'transformers_version', 'language_model_only'],
    ...['image_token_id', 'video_token_id', 'vision_start_token_id', 'vision_end_token_id'],
  ]),
  family: 'qwen3_5',
};

/** Every issue at once; of fields that do not fit together once each is fine. */
export function parseQwen35Config(json: unknown): Result<Qwen35Config> {
  const given = json as Json;
  if (!OUTER.optional.model_type.holds(given.model_type)) return parseText(given, '');
  const issues = fieldIssues(given, OUTER);
  if (issues.length > 0) return { ok: false, issues };
  const { tie_word_embeddings = false, text_config } = given;
  return parseText({ tie_word_embeddings, ...(text_config as Json) }, 'text_config/');
}

/** @param at where the fields stand in config.json */
function parseText(given: Json, at: string): Result<Qwen35Config> {
  const feedForwards = FEED_FORWARDS[given.model_type === 'qwen3_5_moe_text' ? 'qwen3_5_moe_text' : 'qwen3_5_text'];
  const { rope_parameters: rotation } = given;
  const required = { ...REQUIRED, ...feedForwards, ...(rotation === undefined ? ROPE.required : {}) };
  const issues = fieldIssues(given, { required, optional: OPTIONAL, ignored: IGNORED, family: 'qwen3_5 text', at });
  if (object.hasType(rotation)) issues.push(...fieldIssues(rotation as Json, { ...ROPE, at: `${at}rope_parameters/` }));
  if (issues.length > 0) return { ok: false, issues };
  const filled = { ...DEFAULTS, ...given } as unknown as Qwen35Config & { full_attention_interval?: number };
  const { num_hidden_layers: layers, full_attention_interval: interval = 4 } = filled;
  const isFull = (layer: number) => (layer + 1) % interval === 0;
  const types = Array.from(
    { length: layers },
    (_, i): LayerType => (isFull(i) ? 'full_attention' : 'linear_attention'),
  );
  const { rope_theta, partial_rotary_factor = 0.25 } = (rotation ?? given) as Qwen35Config['rope_parameters'];
  const fields = [...Object.keys({ ...REQUIRED, ...feedForwards, ...DEFAULTS })] as (keyof Qwen35Config)[];
  const config = {
    ...Object.fromEntries(fields.map((field) => [field, filled[field]])),
    layer_types: filled.layer_types ?? types,
    rope_parameters: { rope_type: 'default', rope_theta, partial_rotary_factor },
    ...(filled.router_aux_loss_coef !== undefined && expertsOf(filled)
      ? { router_aux_loss_coef: filled.router_aux_loss_coef }
      : {}),
  } as Qwen35Config;
  const disagreements = relationIssues(config, at);
  return disagreements.length > 0 ? { ok: false, issues: disagreements } : { ok: true, value: config };
}

function relationIssues(c: Qwen35Config, at: string): Issue[] {
  const issues: Issue[] = [];
  const require = (holds: boolean, code: string, field: keyof Qwen35Config, message: string) => {
    if (!holds) issues.push({ code, path: `config.json/${at}${field}`, message });
  };
  const layers = `${c.layer_types.length} layer types for ${c.num_hidden_layers} layers`;
  require(c.layer_types.length === c.num_hidden_layers, 'config.layers', 'layer_types', layers);
  const shared = (heads: number, keys: number) => `${heads} heads cannot share ${keys} key heads evenly`;
  const { num_attention_heads: H, num_key_value_heads: Hk, linear_num_value_heads: L, linear_num_key_heads: Lk } = c;
  require(H % Hk === 0, 'config.heads', 'num_key_value_heads', shared(H, Hk));
  require(L % Lk === 0, 'config.heads', 'linear_num_key_heads', shared(L, Lk));
  for (const field of ['head_dim', 'linear_key_head_dim', 'linear_value_head_dim'] as const)
    require(c[field] % 16 === 0, 'config.heads', field, `expected a multiple of 16, got ${c[field]}`);
  const wide = Math.max(H * c.head_dim, ...linearWidths(c));
  require(wide <= 2 ** 24, 'config.heads', 'head_dim', `heads of ${wide} channels together, the most is ${2 ** 24}`);
  const turns = `partial_rotary_factor must turn an even number of channels, got ${rotaryDim(c)}`;
  require(rotaryDim(c) % 2 === 0, 'config.heads', 'rope_parameters', turns);
  const { num_experts: X = 1, num_experts_per_tok: K = 1 } = c;
  require(K <= X, 'config.experts', 'num_experts_per_tok', `${K} of ${X} experts per token`);
  const { bos_token_id: bos, eos_token_id: eos, pad_token_id: pad, vocab_size: V } = c;
  for (const id of [bos, eos, pad].flat())
    require(id === null || id < V, 'config.token_id', 'vocab_size', `token ${id} of a vocabulary of ${V}`);
  return issues;
}
