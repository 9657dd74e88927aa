/**
 * @file Reads a config.json of Qwen3.5 strictly: that of a text model, or that of a multimodal one, of which only the text
 * counts. Fields that change nothing here are known by name; anything else is refused.
 */
import type { Issue, Result } from '@quasar/base';
import { show, showName } from '../../show.ts';
import { type LayerType, linearWidths, type Qwen35Config, rotaryDim } from './config.ts';

type Fields = Record<string, unknown>;

/** What a field may be, in words and as a test. */
interface Kind {
  expects: string;
  holds(value: unknown): boolean;
}

/** Upper ends are far above any sensible model: they bound what a stranger's config can make a reader allocate. */
const whole = (low: number, high = 2 ** 24): Kind => ({
  expects: `a whole number from ${low} to ${high}`,
  holds: (value) => Number.isInteger(value) && (value as number) >= low && (value as number) <= high,
});
const between = (low: number, high: number): Kind => ({
  expects: `a number above ${low} and up to ${high}`,
  holds: (value) => typeof value === 'number' && value > low && value <= high,
});
const only = (...values: unknown[]): Kind => ({
  expects: values.map((value) => JSON.stringify(value)).join(' or '),
  holds: (value) => values.includes(value),
});
const boolean: Kind = { expects: 'true or false', holds: (value) => typeof value === 'boolean' };
const orNull = (kind: Kind): Kind => ({
  expects: `${kind.expects} or null`,
  holds: (value) => value === null || kind.holds(value),
});
const tokenId = orNull(whole(0));
const listOf = (kind: Kind, most: number): Kind => ({
  expects: `a list of at most ${most}, each ${kind.expects}`,
  holds: (value) => Array.isArray(value) && value.length <= most && value.every(kind.holds),
});
const either = (one: Kind, other: Kind): Kind => ({
  expects: `${one.expects}, or ${other.expects}`,
  holds: (value) => one.holds(value) || other.holds(value),
});
const object: Kind = {
  expects: 'an object',
  holds: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
};
const anything: Kind = { expects: 'anything', holds: () => true };

const MAX_LAYERS = 1024;

/** Fields that say what feed-forwards are made of, by `model_type`. */
const FEED_FORWARDS: Readonly<Record<Qwen35Config['model_type'], { readonly [F in keyof Qwen35Config]?: Kind }>> = {
  qwen3_5_text: { intermediate_size: whole(1) },
  qwen3_5_moe_text: {
    num_experts: whole(1, 2 ** 16),
    num_experts_per_tok: whole(1, 2 ** 16),
    moe_intermediate_size: whole(1),
    shared_expert_intermediate_size: whole(1),
  },
};

/** Fields of every text config. */
const KINDS: { readonly [F in keyof Qwen35Config]?: Kind } = {
  model_type: only('qwen3_5_text', 'qwen3_5_moe_text'),
  vocab_size: whole(1),
  hidden_size: whole(1),
  num_hidden_layers: whole(1, MAX_LAYERS),
  layer_types: listOf(only('linear_attention', 'full_attention'), MAX_LAYERS),
  num_attention_heads: whole(1, 2 ** 16),
  num_key_value_heads: whole(1, 2 ** 16),
  head_dim: whole(16, 2 ** 16),
  attention_bias: boolean,
  attention_dropout: only(0),
  attn_output_gate: only(true),
  linear_num_key_heads: whole(1, 2 ** 16),
  linear_num_value_heads: whole(1, 2 ** 16),
  linear_key_head_dim: whole(16, 2 ** 16),
  linear_value_head_dim: whole(16, 2 ** 16),
  linear_conv_kernel_dim: whole(1, 64),
  hidden_act: only('silu'),
  rms_norm_eps: between(0, 1),
  initializer_range: between(0, 1e3),
  max_position_embeddings: whole(1, 2 ** 31 - 1),
  rope_parameters: object,
  tie_word_embeddings: boolean,
  bos_token_id: tokenId,
  eos_token_id: either(tokenId, listOf(whole(0), 64)),
  pad_token_id: tokenId,
};

/** What public configs may leave out; null: follows from other fields. */
const DERIVED: { readonly [F in keyof Qwen35Config]?: Qwen35Config[F] | undefined } = {
  layer_types: undefined,
  rope_parameters: undefined,
  attention_bias: false,
  attention_dropout: 0,
  attn_output_gate: true,
  tie_word_embeddings: false,
  initializer_range: 0.02,
  bos_token_id: null,
  eos_token_id: null,
  pad_token_id: null,
};

/** Fields of text configs that say how others run or trained the model, or belong to its draft heads. */
const WITHOUT_EFFECT: Record<string, Kind> = {
  architectures: anything,
  dtype: anything,
  torch_dtype: anything,
  transformers_version: anything,
  use_cache: anything,
  mamba_ssm_dtype: anything,
  mtp_num_hidden_layers: anything,
  mtp_use_dedicated_embeddings: anything,
  mlp_only_layers: listOf(only(), 0),
  output_router_logits: anything,
  router_aux_loss_coef: anything,
};

/** Other spellings of `layer_types` and `rope_parameters`. */
const ALIASES: Record<string, Kind> = {
  full_attention_interval: whole(1, MAX_LAYERS),
  rope_theta: between(0, 1e12),
  partial_rotary_factor: between(0, 1),
};

const ROPE: Record<string, Kind> = {
  rope_type: only('default'),
  rope_theta: between(0, 1e12),
  partial_rotary_factor: between(0, 1),
  // Sections of the rotation by time, height and width: in text all three are the position of the token.
  mrope_section: listOf(whole(0), 3),
  mrope_interleaved: boolean,
};

/** Of a multimodal config: the text, the vision tower, and tokens that stand for pictures. */
const OUTER: Record<string, Kind> = {
  model_type: only('qwen3_5', 'qwen3_5_moe'),
  text_config: object,
  vision_config: object,
  tie_word_embeddings: boolean,
  ...Object.fromEntries(
    ['architectures', 'dtype', 'torch_dtype', 'transformers_version', 'language_model_only'].map((f) => [f, anything]),
  ),
  ...Object.fromEntries(['image', 'video', 'vision_start', 'vision_end'].map((what) => [`${what}_token_id`, whole(0)])),
};

/** Every issue at once; of fields that do not fit together once each is fine. */
export function parseQwen35Config(json: unknown): Result<Qwen35Config> {
  const given = json as Fields;
  if (!OUTER.model_type?.holds(given.model_type)) return parseText(given, '');
  const issues = fieldIssues(given, OUTER, ['text_config'], '');
  if (issues.length > 0) return { ok: false, issues };
  const { tie_word_embeddings = false, text_config } = given;
  return parseText({ tie_word_embeddings, ...(text_config as Fields) }, 'text_config/');
}

/** @param at where the fields stand in config.json */
function parseText(given: Fields, at: string): Result<Qwen35Config> {
  const { rope_theta, partial_rotary_factor = 0.25, full_attention_interval: interval = 4 } = given;
  const { rope_parameters: inner } = given;
  const rope: Fields = {
    rope_type: 'default',
    rope_theta,
    partial_rotary_factor,
    ...(object.holds(inner) ? (inner as Fields) : {}),
  };
  const isMoe = given.model_type === 'qwen3_5_moe_text';
  const kinds = { ...KINDS, ...FEED_FORWARDS[isMoe ? 'qwen3_5_moe_text' : 'qwen3_5_text'] };
  const required = Object.keys(kinds).filter((field) => !Object.hasOwn(DERIVED, field));
  const issues = fieldIssues(given, { ...kinds, ...ALIASES, ...WITHOUT_EFFECT }, required, at);
  if (inner === undefined || object.holds(inner))
    issues.push(...fieldIssues(rope, ROPE, ['rope_theta'], `${at}rope_parameters/`));
  if (issues.length > 0) return { ok: false, issues };
  const filled = { ...DERIVED, ...given } as unknown as Qwen35Config;
  const types = Array.from(
    { length: filled.num_hidden_layers },
    (_, layer): LayerType => ((layer + 1) % (interval as number) === 0 ? 'full_attention' : 'linear_attention'),
  );
  const config: Fields = {};
  for (const field of Object.keys(kinds)) config[field] = filled[field as keyof Qwen35Config];
  config.layer_types ??= types;
  config.rope_parameters = {
    rope_type: rope.rope_type,
    rope_theta: rope.rope_theta,
    partial_rotary_factor: rope.partial_rotary_factor,
  };
  const disagreements = relationIssues(config as unknown as Qwen35Config, at);
  if (disagreements.length > 0) return { ok: false, issues: disagreements };
  return { ok: true, value: config as unknown as Qwen35Config };
}

/** Unknown, missing and ill-valued fields. */
function fieldIssues(given: Fields, kinds: Record<string, Kind>, required: readonly string[], at: string): Issue[] {
  const issues: Issue[] = [];
  for (const [field, value] of Object.entries(given)) {
    const path = `config.json/${at}${showName(field)}`;
    const kind = Object.hasOwn(kinds, field) ? kinds[field] : undefined;
    if (!kind) {
      const message = 'this field is not part of a qwen3_5 text config';
      issues.push({ code: 'config.unknown_field', path, message, hint: 'remove it' });
    } else if (value !== undefined && !kind.holds(value))
      issues.push({ code: 'config.wrong_value', path, message: `expected ${kind.expects}, got ${show(value)}` });
  }
  for (const field of required) {
    if (given[field] !== undefined) continue;
    const message = `this field is missing: ${kinds[field]?.expects}`;
    issues.push({ code: 'config.missing_field', path: `config.json/${at}${field}`, message });
  }
  return issues;
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
