/** @file The families by `model_type`, and what can be asked of any config. */
import type { Result } from '@quasar/base';
import { sizeOf } from '@quasar/tensor';
import { show } from '../show.ts';
import type { TensorSpec } from '../tensor-table.ts';
import type { Family } from './family.ts';
import { QUASAR_SIZES, type QuasarConfig } from './quasar/config.ts';
import { quasar } from './quasar/index.ts';

export type ModelConfig = QuasarConfig;

const FAMILIES: { readonly [C in ModelConfig as C['model_type']]: Family<C> } = { quasar };

/** The sizes we ship, of all families. */
export const SIZES = { ...QUASAR_SIZES } as const satisfies Record<string, ModelConfig>;

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
  const known = typeof type === 'string' && Object.hasOwn(FAMILIES, type);
  return FAMILIES[known ? (type as ModelConfig['model_type']) : 'quasar'].parseConfig(json);
}

/** Every tensor of a checkpoint in file order. */
export function tensorTable(config: ModelConfig): Map<string, TensorSpec> {
  return familyOf(config).tensorTable(config);
}

/**
 * Parameters (buffers do not count). `active`: touched by one token, with the head and without the embedding table;
 * of the routed experts only the chosen ones are.
 */
export function countParameters(config: ModelConfig): { total: number; active: number } {
  let total = 0;
  let active = 0;
  for (const { shape, role } of tensorTable(config).values()) {
    if (role === 'buffer') continue;
    const size = sizeOf(shape);
    total += size;
    if (role === 'expert') active += size * familyOf(config).expertShare(config);
    else if (role !== 'embedding') active += size;
  }
  return { total, active };
}
