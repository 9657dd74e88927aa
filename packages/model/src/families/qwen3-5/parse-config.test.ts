/** @file Reading configs of Qwen3.5: of text models, of multimodal ones, and what is refused. */
import { expect, it } from 'vitest';
import { TINY_QWEN, TINY_QWEN_MOE } from '../../testing/tiny-qwen3-5.ts';
import { parseConfig } from '../index.ts';

/** As published: layer types by interval, a rotation with sections, fields of the draft heads and of the tower. */
const { layer_types, rope_parameters, model_type, num_hidden_layers, ...rest } = TINY_QWEN;
const TEXT = {
  ...rest,
  model_type,
  num_hidden_layers: 4,
  full_attention_interval: 2,
  rope_parameters: {
    mrope_interleaved: true,
    mrope_section: [1, 1, 0],
    rope_type: 'default',
    rope_theta: 1e7,
    partial_rotary_factor: 0.25,
  },
  dtype: 'bfloat16',
  mamba_ssm_dtype: 'float32',
  mlp_only_layers: [],
  mtp_num_hidden_layers: 1,
  mtp_use_dedicated_embeddings: false,
  use_cache: true,
};
const MULTIMODAL = {
  architectures: ['Qwen3_5ForConditionalGeneration'],
  model_type: 'qwen3_5',
  image_token_id: 40,
  video_token_id: 41,
  vision_start_token_id: 42,
  vision_end_token_id: 43,
  text_config: TEXT,
  vision_config: { model_type: 'qwen3_5_vision', depth: 27 },
  tie_word_embeddings: true,
  transformers_version: '5.2.0',
};
const READ = {
  ...TINY_QWEN,
  num_hidden_layers: 4,
  layer_types: ['linear_attention', 'full_attention', 'linear_attention', 'full_attention'],
  rope_parameters: { rope_type: 'default', rope_theta: 1e7, partial_rotary_factor: 0.25 },
};

it('a text config, and what was read, which reads as itself', () => {
  const read = parseConfig(TEXT);
  expect(read).toEqual({ ok: true, value: READ });
  expect(parseConfig(JSON.parse(JSON.stringify(READ)))).toEqual(read);
});

it('the text of a multimodal config; whether the head is tied stands in either', () => {
  expect(parseConfig(MULTIMODAL)).toEqual({ ok: true, value: READ });
  const { tie_word_embeddings, ...text } = TEXT;
  const outer = parseConfig({ ...MULTIMODAL, text_config: text });
  expect(outer).toEqual({ ok: true, value: { ...READ, tie_word_embeddings: true } });
});

it('models with experts, text or multimodal', () => {
  const value = { ...TINY_QWEN_MOE, router_aux_loss_coef: 0.002 };
  const moe = { ...value, output_router_logits: false };
  expect(parseConfig(TINY_QWEN_MOE)).toEqual({ ok: true, value: TINY_QWEN_MOE });
  expect(parseConfig(moe)).toEqual({ ok: true, value });
  expect(parseConfig({ ...MULTIMODAL, model_type: 'qwen3_5_moe', text_config: moe })).toEqual({ ok: true, value });
});

it('the older spelling of the rotation, and fields that follow from others', () => {
  const { rope_parameters, attention_bias, eos_token_id, full_attention_interval, ...text } = TEXT;
  const read = parseConfig({ ...text, rope_theta: 1e7, partial_rotary_factor: 0.5 });
  expect(read).toMatchObject({
    ok: true,
    value: {
      rope_parameters: { rope_type: 'default', rope_theta: 1e7, partial_rotary_factor: 0.5 },
      layer_types: ['linear_attention', 'linear_attention', 'linear_attention', 'full_attention'],
      attention_bias: false,
      eos_token_id: null,
    },
  });
});

const { hidden_size, ...unsized } = TEXT;
const { num_experts, ...withoutExperts } = TINY_QWEN_MOE;
it.each<[string, object, string[]]>([
  ['a field of nobody', { ...TEXT, temperature: 1 }, ['config.unknown_field temperature']],
  ['a missing field', unsized, ['config.missing_field hidden_size']],
  ['no rotation', { ...TEXT, rope_parameters: {} }, ['config.missing_field rope_parameters/rope_theta']],
  [
    'another rotation',
    { ...TEXT, rope_parameters: { rope_type: 'yarn', rope_theta: 1, factor: 2 } },
    ['config.wrong_value rope_parameters/rope_type', 'config.unknown_field rope_parameters/factor'],
  ],
  ['a rotation that is text', { ...TEXT, rope_parameters: 'none' }, ['config.wrong_type rope_parameters']],
  ['no output gate', { ...TEXT, attn_output_gate: false }, ['config.wrong_value attn_output_gate']],
  ['layers without experts', { ...TEXT, mlp_only_layers: [1] }, ['config.out_of_range mlp_only_layers']],
  [
    'sizes that would fill memory',
    { ...TEXT, vocab_size: 1e9, num_hidden_layers: 1e9, head_dim: 1e9 },
    ['config.out_of_range vocab_size', 'config.out_of_range num_hidden_layers', 'config.out_of_range head_dim'],
  ],
  [
    'heads that fill memory together',
    { ...TEXT, num_attention_heads: 2 ** 12, head_dim: 2 ** 14 },
    ['config.heads head_dim'],
  ],
  ['experts of a dense model', { ...TEXT, num_experts: 4 }, ['config.unknown_field num_experts']],
  ['a mixture without experts', withoutExperts, ['config.missing_field num_experts']],
  [
    'more experts per token than there are',
    { ...TINY_QWEN_MOE, num_experts: 1 },
    ['config.experts num_experts_per_tok'],
  ],
  ['types for other layers', { ...TEXT, layer_types: ['full_attention'] }, ['config.layers layer_types']],
  ['another type of layer', { ...TEXT, layer_types: ['mamba'] }, ['config.wrong_value layer_types']],
  [
    'heads that cannot be shared',
    { ...TEXT, num_key_value_heads: 3, linear_num_value_heads: 3, linear_num_key_heads: 2 },
    ['config.heads num_key_value_heads', 'config.heads linear_num_key_heads'],
  ],
  [
    'odd heads',
    { ...TEXT, head_dim: 24, linear_key_head_dim: 20 },
    ['config.heads head_dim', 'config.heads linear_key_head_dim'],
  ],
  [
    'a rotation of an odd number of channels',
    { ...TEXT, rope_parameters: { rope_theta: 1, partial_rotary_factor: 0.2 } },
    ['config.heads rope_parameters'],
  ],
  ['a token outside of the vocabulary', { ...TEXT, eos_token_id: [1, 48] }, ['config.token_id vocab_size']],
  ['no text', { ...MULTIMODAL, text_config: 3 }, ['config.wrong_type text_config']],
  ['a field of nobody outside of the text', { ...MULTIMODAL, audio_config: {} }, ['config.unknown_field audio_config']],
  [
    'one inside of it',
    { ...MULTIMODAL, text_config: { ...TEXT, num_experts: 4 } },
    ['config.unknown_field text_config/num_experts'],
  ],
])('refuses %s', (_, json, expected) => {
  const read = parseConfig(json);
  const found = read.ok ? [] : read.issues.map(({ code, path }) => `${code} ${path?.replace('config.json/', '')}`);
  expect(found.sort()).toEqual(expected.sort());
});
