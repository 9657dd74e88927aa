/** @file The families by `model_type`, and what can be asked of any config. */
import type { Result } from '@quasar/base';
import { sizeOf } from '@quasar/tensor';
import type { NameMap } from '../checkpoint/names.ts';
import { show } from '../show.ts';
import type { Role, TensorSpec } from '../tensor-table.ts';
import type { Tokenizer } from '../tokenizer/index.ts';

import type { ExpertBias, Family } from './family.ts';
import type { GraftConfig } from './graft/config.ts';
import { graft } from './graft/index.ts';
import { QUASAR_SIZES, type QuasarConfig } from './quasar/config.ts';
import { quasar } from './quasar/index.ts';
import { QUASAR_LONG_SIZES, type QuasarLongConfig } from './quasar-long/config.ts';
import { quasarLong } from './quasar-long/index.ts';
import type { Qwen35Config } from './qwen3-5/config.ts';
import { qwen35 } from './qwen3-5/index.ts';

export type ModelConfig = QuasarConfig | QuasarLongConfig | Qwen35Config | GraftConfig;

const FAMILIES: { readonly [C in ModelConfig as C['model_type']]: Family<C> } = {
  quasar,
  quasar_long: quasarLong,
  qwen3_5_text: qwen35,
  qwen3_5_moe_text: qwen35,
  quasar_graft: graft,
};

/** Types of configs that are read as another one. */
const ALIASES: Readonly<Record<string, ModelConfig['model_type']>> = {
  qwen3_5: 'qwen3_5_text',
  qwen3_5_moe: 'qwen3_5_moe_text',
};

/** The sizes we ship, of all families. */
export const SIZES = { ...QUASAR_SIZES, ...QUASAR_LONG_SIZES } as const satisfies Record<string, ModelConfig>;

export type SizeName = keyof typeof SIZES;

export function familyOf<C extends ModelConfig>(config: C): Family<C> {
  return FAMILIES[config.model_type] as Family<C>;
}

/** Unknown, missing, ill-typed and impossible fields of a config.json, all of them. */
export function parseConfig(json: unknown): Result<ModelConfig> {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) {
    const message = `expected a JSON object, got ${show(json)}`;
    return { ok: false, issues: [{ code: 'config.not_object', path: 'config.json', message }] };
  }
  const { model_type: type = 'quasar' } = json as { model_type?: unknown };
  const name = typeof type === 'string' && Object.hasOwn(ALIASES, type) ? ALIASES[type] : type;
  const known = typeof name === 'string' && Object.hasOwn(FAMILIES, name);
  return FAMILIES[known ? (name as ModelConfig['model_type']) : 'quasar'].parseConfig(json);
}

/** How public files of the model, or of the base of a graft, name and cut its tensors; null: as the table does. */
export function namesOf(config: ModelConfig): NameMap | null {
  return familyOf(config.model_type === 'quasar_graft' ? config.base : config).names ?? null;
}

/** Every tensor of a checkpoint in file order. */
export function tensorTable(config: ModelConfig): Map<string, TensorSpec> {
  return familyOf(config).tensorTable(config);
}

/** `tensorTable` with the initial values of a model for this tokenizer. */
export function freshTable(config: ModelConfig, tokenizer: Tokenizer): Map<string, TensorSpec> {
  return familyOf(config).freshTable?.(config, tokenizer) ?? tensorTable(config);
}

/** The config for a tokenizer whose documents begin and end with these tokens. */
export function withTokens<C extends ModelConfig>(config: C, tokens: { begin: number; end: number }): C {
  return familyOf(config).withTokens(config, tokens);
}

/** How the SMEBU update moves the expert bias, and where it lies; null: the model has no such bias. */
export function expertBiasOf(config: ModelConfig): ExpertBias | null {
  return familyOf(config).expertBias?.(config) ?? null;
}

/** Share of a tensor of this role that one token touches: its rows of tables do not count, nor do buffers. */
export function activeShare(config: ModelConfig, role: Role): number {
  if (role === 'expert') return familyOf(config).expertShare(config);
  return role === 'embedding' || role === 'table' || role === 'buffer' ? 0 : 1;
}

/**
 * Parameters (buffers do not count). `active`: touched by one token, with the head and without the embedding table;
 * of the routed experts only the chosen ones are.
 */
export function countParameters(config: ModelConfig): { total: number; active: number } {
  let total = 0;
  let active = 0;
  for (const { shape, role } of tensorTable(config).values()) {
    if (role !== 'buffer') total += sizeOf(shape);
    active += sizeOf(shape) * activeShare(config, role);
  }
  return { total, active };
}
