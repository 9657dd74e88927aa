/** @file For tests: the smallest Qwen3.5 models that have both kinds of layers, with shared heads in each. */
import type { Qwen35Config } from '../families/qwen3-5/config.ts';

export const TINY_QWEN: Qwen35Config = {
  model_type: 'qwen3_5_text',
  vocab_size: 48,
  hidden_size: 24,
  intermediate_size: 40,
  num_hidden_layers: 3,
  layer_types: ['linear_attention', 'full_attention', 'linear_attention'],
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  attention_bias: false,
  attention_dropout: 0,
  attn_output_gate: true,
  linear_num_key_heads: 1,
  linear_num_value_heads: 2,
  linear_key_head_dim: 16,
  linear_value_head_dim: 32,
  linear_conv_kernel_dim: 4,
  hidden_act: 'silu',
  rms_norm_eps: 1e-6,
  initializer_range: 0.2,
  max_position_embeddings: 512,
  rope_parameters: { rope_type: 'default', rope_theta: 10_000, partial_rotary_factor: 0.25 },
  tie_word_embeddings: false,
  bos_token_id: null,
  eos_token_id: 1,
  pad_token_id: null,
};

const { intermediate_size, ...shared } = TINY_QWEN;

/** With experts in the place of dense feed-forwards. */
export const TINY_QWEN_MOE: Qwen35Config = {
  ...shared,
  model_type: 'qwen3_5_moe_text',
  num_experts: 5,
  num_experts_per_tok: 2,
  moe_intermediate_size: 16,
  shared_expert_intermediate_size: 24,
};
