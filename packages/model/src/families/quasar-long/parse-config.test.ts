/** @file The strict reader of quasar_long configs: the published one passes, and the issue of each thing that does not. */
import { describe, expect, it } from 'vitest';
import { TINY_LONG } from '../../testing/tiny-quasar-long.ts';
import { parseConfig, SIZES } from '../index.ts';
import { optionsOf, type QuasarLongConfig } from './config.ts';

/** `code field` of each issue. */
function issues(json: unknown): string[] {
  const result = parseConfig(json);
  if (result.ok) return [];
  for (const { message } of result.issues) expect(message.length).toBeLessThan(200);
  return result.issues.map(({ code, path }) => `${code.replace('config.', '')} ${path?.replace('config.json/', '')}`);
}

const PUBLISHED = Object.keys(SIZES.preview) as (keyof QuasarLongConfig)[];
const OPTIONS = optionsOf(TINY_LONG);

describe('accepted', () => {
  it.each(['preview-nano', 'preview-mini', 'preview'] as const)('the shipped size %s survives JSON', (name) => {
    expect(parseConfig(JSON.parse(JSON.stringify(SIZES[name])))).toEqual({ ok: true, value: SIZES[name] });
  });

  it('the published file, without what other programs read in it', () => {
    const published = {
      ...SIZES.preview,
      architectures: ['QuasarLongForCausalLM'],
      auto_map: { AutoConfig: 'configuration_quasar_long.QuasarLongConfig' },
      dtype: 'bfloat16',
      torch_dtype: 'bfloat16',
      max_window_layers: 20,
      output_router_logits: false,
      rope_parameters: { partial_rotary_factor: 0.5, rope_theta: 10000, rope_type: 'default' },
      transformers_version: '4.52.3',
      use_cache: true,
    };
    expect(parseConfig(JSON.parse(JSON.stringify(published)))).toEqual({ ok: true, value: SIZES.preview });
  });

  it('every option, and each of them absent', () => {
    const config = { ...TINY_LONG, ...OPTIONS };
    expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual({ ok: true, value: config });
    for (const option of Object.keys(OPTIONS)) {
      const { [option as keyof typeof config]: _, ...rest } = config;
      expect(issues(rest), option).toEqual([]);
    }
  });
});

describe('one bad field', () => {
  it.each(PUBLISHED.filter((field) => field !== 'model_type'))('%s missing', (field) => {
    const { [field]: _, ...rest } = TINY_LONG;
    expect(issues(rest)).toEqual([`missing_field ${field}`]);
  });

  it.each([...PUBLISHED, ...Object.keys(OPTIONS)].filter((field) => field !== 'model_type'))(
    '%s of another type',
    (field) => {
      for (const value of [undefined, {}, Number.NaN])
        expect(issues({ ...TINY_LONG, [field]: value })).toEqual([`wrong_type ${field}`]);
    },
  );

  it.each<[string, unknown, string]>([
    ['hidden_act', 'gelu', 'wrong_value'],
    ['rope_scaling', 'linear', 'wrong_type'],
    ['rms_norm_eps', 0, 'out_of_range'],
    ['num_hidden_layers', 1025, 'out_of_range'],
    ['num_hidden_layers', 1.5, 'out_of_range'],
    ['hybrid_replacement_mode', 'gated', 'wrong_value'],
    ['hybrid_layerwise_cycle', ['quasar', 'mamba'], 'wrong_value'],
    ['hybrid_layerwise_cycle', ['quasar', 3], 'wrong_value'],
    ['hybrid_attention_layers', [-1], 'out_of_range'],
    ['hybrid_attention_layers', new Array(1025).fill(0), 'out_of_range'],
    ['engram_layers', [-1], 'out_of_range'],
    ['engram_gate', 'none', 'wrong_value'],
    ['quasar_variant', 'other', 'wrong_value'],
    ['num_loops', 65, 'out_of_range'],
    ['num_attention_heads', 4097, 'out_of_range'],
    ['head_dim', 2 ** 17, 'out_of_range'],
  ])('%s: %j', (field, value, code) => {
    expect(issues({ ...TINY_LONG, [field]: value })).toEqual([`${code} ${field}`]);
  });

  it('unknown fields and a list in place of a config', () => {
    expect(issues({ ...TINY_LONG, d_model: 64, 'a\nb': 1 })).toEqual(['unknown_field d_model', 'unknown_field a\\nb']);
    expect(issues([])).toEqual(['not_object config.json']);
  });

  it('a rotation that is said in two ways', () => {
    const said = (rope_parameters: unknown) => issues({ ...TINY_LONG, rope_parameters });
    expect(said({ rope_type: 'yarn' })).toEqual(['wrong_value rope_parameters']);
    expect(said({ rope_theta: 1e6 })).toEqual(['wrong_value rope_parameters']);
    expect(said({ factor: 2 })).toEqual(['wrong_value rope_parameters']);
    expect(said(null)).toEqual(['wrong_type rope_parameters']);
  });
});

describe('fields that do not fit together', () => {
  it.each<[Partial<QuasarLongConfig>, string[]]>([
    [{ hidden_size: 48 }, ['heads head_dim']],
    [{ head_dim: 24, hidden_size: 48 }, ['heads head_dim']],
    [{ num_key_value_heads: 3 }, ['heads num_key_value_heads']],
    [{ partial_rotary_factor: 0.3 }, ['heads partial_rotary_factor']],
    [{ hybrid_gla_group_norm_size: 5 }, ['heads hybrid_gla_group_norm_size']],
    [{ engram_layers: [1, 4] }, ['layers engram_layers']],
    [{ engram_layers: [1, 1] }, ['layers engram_layers']],
    [{ engram_layers: [1], engram_ngram_orders: [] }, ['memory engram_ngram_orders']],
    [{ engram_layers: [1], engram_slots: 15 }, ['memory engram_slots']],
    [{ engram_layers: [1], engram_slots: 2 ** 31 - 100 }, ['memory engram_slots']],
    [{ n_group: 3 }, ['experts n_group']],
    [{ topk_group: 5 }, ['experts topk_group']],
    [{ num_experts_per_tok: 5 }, ['experts num_experts_per_tok']],
    [{ num_shared_experts: 2 }, ['experts moe_shared_expert_intermediate_size']],
    [{ hybrid_attention_layers: [1, 4] }, ['layers hybrid_attention_layers']],
    [{ hybrid_attention_layers: [1, 1] }, ['layers hybrid_attention_layers']],
    [
      { hybrid_quasar_enabled: false, hybrid_raven_enabled: false, hybrid_gla_enabled: false },
      ['layers hybrid_layerwise_cycle'],
    ],
    [{ hybrid_raven_slots: 24 }, ['memory hybrid_raven_slots']],
    [{ hybrid_raven_topk: 17 }, ['memory hybrid_raven_topk']],
    [{ eos_token_id: 48, pad_token_id: 50 }, ['token_id pad_token_id', 'token_id eos_token_id']],
  ])('%j', (change, expected) => {
    expect(issues({ ...TINY_LONG, ...change })).toEqual(expected);
  });
});
