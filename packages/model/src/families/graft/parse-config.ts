/** @file Reads the config.json of a graft strictly; its base is read as a config of its own. */
import type { Issue, Result } from '@quasar/base';
import { fieldIssues, type Kind, listOf, object, only, upTo, whole } from '../fields.ts';
import { familyOf, parseConfig } from '../index.ts';
import type { BaseConfig, GraftConfig } from './config.ts';
import { depthOf } from './tensors.ts';

const MAX_LAYERS = 1024;

const FIELDS: { readonly [F in keyof GraftConfig]: Kind } = {
  model_type: only('quasar_graft'),
  vocab_size: whole(1),
  base: object,
  layers: listOf(whole(0, MAX_LAYERS - 1), MAX_LAYERS),
  heads: whole(1, 2 ** 12),
  head_dim: whole(16, 2 ** 12),
  conv_size: whole(0, 64),
  gate_init: upTo(-100, 100),
};

/** Every issue at once, those of the base among them; of fields that do not fit together once each is fine. */
export function parseGraftConfig(json: unknown): Result<GraftConfig> {
  const given = json as Record<string, unknown>;
  const fields = { required: FIELDS, optional: {}, ignored: new Set<string>(), family: 'quasar_graft' };
  const issues = fieldIssues(given, fields);
  const base = object.hasType(given.base) ? parseBase(given.base) : null;
  if (base && !base.ok) issues.push(...base.issues);
  if (!base?.ok || issues.length > 0) return { ok: false, issues };
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

function relationIssues({ base, vocab_size, layers, head_dim }: GraftConfig): Issue[] {
  const issues: Issue[] = [];
  const require = (holds: boolean, code: string, field: keyof GraftConfig, message: string) => {
    if (!holds) issues.push({ code, path: `config.json/${field}`, message });
  };
  const vocabulary = `expected the ${base.vocab_size} of the base, got ${vocab_size}`;
  require(vocab_size === base.vocab_size, 'config.wrong_value', 'vocab_size', vocabulary);
  require(head_dim % 16 === 0, 'config.heads', 'head_dim', `expected a multiple of 16, got ${head_dim}`);
  const depth = depthOf(familyOf(base).tensorTable(base));
  const rises =
    layers.length > 0 && layers.every((layer, i) => layer < depth && (i === 0 || layer > (layers[i - 1] as number)));
  require(rises, 'config.layers', 'layers', `expected layers below ${depth} in rising order, at least one, got [${layers}]`);
  return issues;
}
