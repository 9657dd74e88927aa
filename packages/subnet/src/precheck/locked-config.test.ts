/** @file Configs with lists: equal lists pass, and the field of another one is named. */
import { SIZES } from '@quasar/model';
import { expect, it } from 'vitest';
import { checkLockedConfig } from './locked-config.ts';
import type { ModelLock } from './model-lock.ts';

const config = SIZES['preview-nano'];
const issues = (change: object) => {
  const bytes = new TextEncoder().encode(JSON.stringify({ ...config, ...change }));
  return checkLockedConfig(bytes, { config } as unknown as ModelLock).map(({ code, path }) => `${code} ${path}`);
};

it('takes the same config', () => {
  expect(issues({})).toEqual([]);
});

it.each<[string, unknown]>([
  ['hybrid_attention_layers', [1, 2, 3, 4]],
  ['hybrid_attention_layers', [1, 2, 3, 5, 4]],
  ['hybrid_attention_layers', [[1], 2, 3, 4, 5]],
  ['hybrid_attention_layers', '1,2,3,4,5'],
  ['hybrid_layerwise_cycle', { 0: 'quasar', 1: 'raven', 2: 'gla', length: 3 }],
  ['rope_scaling', []],
])('refuses %s: %j', (field, value) => {
  expect(issues({ [field]: value })).toEqual([`precheck.config_mismatch config.json/${field}`]);
});
