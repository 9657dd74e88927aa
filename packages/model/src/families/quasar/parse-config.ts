/** @file Reads a config.json strictly: what a field may be, and which fields must agree. */
import type { Issue, Result } from '@quasar/base';
import { SIBLINGS } from '../../layers/sibling-attention.ts';
import { show, showName } from '../../show.ts';
import { glaKeyDim, optionsOf, QUASAR_SIZES, type QuasarConfig, type QuasarOptions } from './config.ts';

/** The published values: they fix the names and types of the fields. */
const EXAMPLE: QuasarConfig = QUASAR_SIZES['3b'];
const OPTIONS: QuasarOptions = optionsOf(EXAMPLE);

/** Fields with one supported value, that of the published model. */
const FIXED: ReadonlySet<string> = new Set<keyof QuasarConfig>([
  'model_type',
  'attn_mode',
  'gla_mode',
  'moe_type',
  'hidden_act',
  'tie_word_embeddings',
  'dropout',
  'conv_bias',
  'allow_neg_eigval',
  'expand_v',
]);

const CHOICES: { [F in keyof QuasarOptions as QuasarOptions[F] extends string ? F : never]: readonly string[] } = {
  attention: ['quasar', ...SIBLINGS],
  quasar_variant: ['exact', 'preview_chunk', 'preview_recurrent', 'fork_v1'],
  quasar_beta: ['softplus', 'sigmoid', 'static'],
  quasar_decay: ['none', 'scalar', 'channel'],
  positional: ['rope', 'safe_nope', 'nope'],
  memory_mode: ['causal', 'compat'],
  memory_bank: ['fixed', 'learned'],
  injection_site: ['layer_input', 'loop_end'],
};

interface Range {
  low: number;
  high: number;
  whole: boolean;
  /** The ends do not belong to it. */
  open: boolean;
}

const whole = (low: number, high = 2 ** 24): Range => ({ low, high, whole: true, open: false });
const between = (low: number, high: number): Range => ({ low, high, whole: false, open: true });
const upTo = (low: number, high: number): Range => ({ low, high, whole: false, open: false });

/** The upper ends are far above any sensible model: they bound what a stranger's config can make a reader allocate. */
const RANGES: Partial<Record<keyof QuasarConfig, Range>> = {
  vocab_size: whole(1),
  d_model: whole(1),
  n_layers: whole(1, 1024),
  n_heads: whole(1),
  head_dim: whole(1),
  d_ff: whole(1),
  max_seq_len: whole(1, 2 ** 31 - 1),
  rms_norm_eps: between(0, 1),
  initializer_range: upTo(0, 1e3),
  quasar_layers: whole(0),
  gated_layers: whole(0),
  conv_size: whole(1, 64),
  expand_k: between(0, 64),
  // Making the fixed bank takes slots · dim² operations.
  memory_slots: whole(0, 4096),
  memory_dim: whole(0, 512),
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
  smebu_beta: { low: 0, high: 1 - 2 ** -20, whole: false, open: false },
  num_loops: whole(1, 64),
  looped_injection_init: between(0, 1),
  rope_theta: between(0, 1e12),
  nope_after_position: whole(0, 2 ** 31 - 1),
  anchor_grad_scale_gate: upTo(0, 1e3),
  anchor_grad_scale_P: upTo(0, 1e3),
  route_scale: between(0, 1e3),
  bos_token_id: whole(0),
  eos_token_id: whole(0),
};

/** Unknown, missing, ill-typed and impossible fields, all of them; fields that do not fit together once each is fine. */
export function parseQuasarConfig(json: unknown): Result<QuasarConfig> {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) {
    const message = `expected a JSON object, got ${show(json)}`;
    return { ok: false, issues: [{ code: 'config.not_object', path: 'config.json', message }] };
  }
  const given = json as Record<string, unknown>;
  const issues = [...unknownFields(given), ...fieldIssues(given)];
  if (issues.length > 0) return { ok: false, issues };
  const config = given as unknown as QuasarConfig;
  const disagreements = relationIssues(config);
  return disagreements.length > 0 ? { ok: false, issues: disagreements } : { ok: true, value: config };
}

function unknownFields(given: Record<string, unknown>): Issue[] {
  return Object.keys(given)
    .filter((field) => !Object.hasOwn(EXAMPLE, field) && !Object.hasOwn(OPTIONS, field))
    .map((field) => ({
      code: 'config.unknown_field',
      path: `config.json/${showName(field)}`,
      message: 'this field is not part of a quasar config',
      hint: 'remove it',
    }));
}

function fieldIssues(given: Record<string, unknown>): Issue[] {
  const issues: Issue[] = [];
  for (const [field, example] of Object.entries({ ...EXAMPLE, ...OPTIONS })) {
    const path = `config.json/${field}`;
    const value = given[field];
    const choices = CHOICES[field as keyof typeof CHOICES];
    if (!Object.hasOwn(given, field)) {
      if (!Object.hasOwn(EXAMPLE, field)) continue;
      const hint = `the 3B value is ${JSON.stringify(example)}`;
      issues.push({ code: 'config.missing_field', path, message: 'this field is missing', hint });
    } else if (typeof value !== typeof example || (typeof value === 'number' && !Number.isFinite(value))) {
      const message = `expected a ${typeof example}, got ${show(value)}`;
      issues.push({ code: 'config.wrong_type', path, message });
    } else if (FIXED.has(field)) {
      const message = `expected ${JSON.stringify(example)}, got ${show(value)}`;
      if (value !== example) issues.push({ code: 'config.wrong_value', path, message });
    } else if (choices) {
      const message = `expected one of ${choices.join(', ')}, got ${show(value)}`;
      if (!choices.includes(value as string)) issues.push({ code: 'config.wrong_value', path, message });
    } else {
      const range = RANGES[field as keyof QuasarConfig];
      if (range && !contains(range, value as number))
        issues.push({ code: 'config.out_of_range', path, message: `expected ${words(range)}, got ${show(value)}` });
    }
  }
  return issues;
}

function contains({ low, high, whole, open }: Range, value: number): boolean {
  return (!whole || Number.isInteger(value)) && (open ? value > low && value < high : value >= low && value <= high);
}

function words({ low, high, whole, open }: Range): string {
  if (open) return `a number above ${low} and below ${high}`;
  return `a ${whole ? 'whole number' : 'number'} from ${low} to ${high}`;
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
