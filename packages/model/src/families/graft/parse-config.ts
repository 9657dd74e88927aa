/** @file Reads the config.json of a graft strictly; its base is read as a config of its own. */
import type { Issue, Result } from '@quasar/base';
import { show, showName } from '../../show.ts';
import { familyOf, parseConfig } from '../index.ts';
import type { BaseConfig, GraftConfig } from './config.ts';
import { depthOf } from './tensors.ts';

const whole = (low: number, high: number) => ({
  expects: `a whole number from ${low} to ${high}`,
  holds: (value: unknown) => Number.isInteger(value) && (value as number) >= low && (value as number) <= high,
});
const MAX_LAYERS = 1024;

/** The upper ends bound what a stranger's config can make a reader allocate. */
const FIELDS: { readonly [F in Exclude<keyof GraftConfig, 'base'>]: ReturnType<typeof whole> } = {
  model_type: { expects: '"quasar_graft"', holds: (value) => value === 'quasar_graft' },
  vocab_size: whole(1, 2 ** 24),
  layers: {
    expects: 'layers in rising order, at least one',
    holds: (value) =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.length <= MAX_LAYERS &&
      value.every((layer, i) => Number.isInteger(layer) && layer >= 0 && (i === 0 || layer > value[i - 1])),
  },
  heads: whole(1, 2 ** 12),
  head_dim: {
    expects: 'a multiple of 16 up to 4096',
    holds: (x) => whole(16, 4096).holds(x) && (x as number) % 16 === 0,
  },
  conv_size: whole(0, 64),
  gate_init: { expects: 'a number from -100 to 100', holds: (x) => typeof x === 'number' && Math.abs(x) <= 100 },
};

/** Every issue at once, those of the base among them; of fields that do not fit together once each is fine. */
export function parseGraftConfig(json: unknown): Result<GraftConfig> {
  const given = json as Record<string, unknown>;
  const issues: Issue[] = [];
  for (const field of Object.keys(given)) {
    if (field === 'base' || Object.hasOwn(FIELDS, field)) continue;
    const message = 'this field is not part of the config of a graft';
    issues.push({ code: 'config.unknown_field', path: `config.json/${showName(field)}`, message, hint: 'remove it' });
  }
  for (const [field, { expects, holds }] of Object.entries(FIELDS)) {
    const path = `config.json/${field}`;
    if (!Object.hasOwn(given, field))
      issues.push({ code: 'config.missing_field', path, message: `this field is missing: ${expects}` });
    else if (!holds(given[field]))
      issues.push({ code: 'config.wrong_value', path, message: `expected ${expects}, got ${show(given[field])}` });
  }
  const base = parseBase(given.base);
  if (!base.ok) issues.push(...base.issues);
  if (!base.ok || issues.length > 0) return { ok: false, issues };
  const config = { ...(given as unknown as GraftConfig), base: base.value };
  const disagreements = relationIssues(config);
  return disagreements.length > 0 ? { ok: false, issues: disagreements } : { ok: true, value: config };
}

function parseBase(base: unknown): Result<BaseConfig> {
  const within = (issues: Issue[]): Result<BaseConfig> => ({
    ok: false,
    issues: issues.map((issue) => ({
      ...issue,
      path: `config.json/base${(issue.path ?? '').replace('config.json', '')}`,
    })),
  });
  if ((base as { model_type?: unknown } | null | undefined)?.model_type === 'quasar_graft')
    return within([{ code: 'config.wrong_value', path: '/model_type', message: 'a graft cannot be grafted upon' }]);
  const read = parseConfig(base);
  return read.ok ? { ok: true, value: read.value as BaseConfig } : within(read.issues);
}

function relationIssues({ base, vocab_size, layers }: GraftConfig): Issue[] {
  const issues: Issue[] = [];
  if (vocab_size !== base.vocab_size) {
    const message = `expected the ${base.vocab_size} of the base, got ${vocab_size}`;
    issues.push({ code: 'config.wrong_value', path: 'config.json/vocab_size', message });
  }
  const depth = depthOf(familyOf(base).tensorTable(base));
  if ((layers.at(-1) as number) >= depth) {
    const message = `layer ${layers.at(-1)} of a base of ${depth} layers`;
    issues.push({ code: 'config.layers', path: 'config.json/layers', message });
  }
  return issues;
}
