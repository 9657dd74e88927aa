/**
 * @file The configuration of the qwen3_5 family under its public field names, as its text models are saved alone
 * (`model_type` qwen3_5_text, with experts qwen3_5_moe_text). Configs of whole multimodal models are read too; `parse-config.ts` takes the text out of them.
 */

/** A gated delta net, or softmax attention with an output gate. */
export type LayerType = 'linear_attention' | 'full_attention';

export interface Qwen35Config {
  model_type: 'qwen3_5_text' | 'qwen3_5_moe_text';
  vocab_size: number;
  hidden_size: number;
  num_hidden_layers: number;
  layer_types: LayerType[];
  /** Of the softmax layers: query heads share key heads in order. */
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim: number;
  attention_bias: boolean;
  attention_dropout: 0;
  attn_output_gate: true;
  /** Of the gated delta nets: value heads share key heads in order. */
  linear_num_key_heads: number;
  linear_num_value_heads: number;
  linear_key_head_dim: number;
  linear_value_head_dim: number;
  linear_conv_kernel_dim: number;
  hidden_act: 'silu';
  rms_norm_eps: number;
  initializer_range: number;
  max_position_embeddings: number;
  rope_parameters: {
    rope_type: 'default';
    rope_theta: number;
    /** Share of a softmax head that turns, from its first channel on. */
    partial_rotary_factor: number;
  };
  /** Of dense feed-forwards. */
  intermediate_size?: number;
  /** Of mixtures: every layer is one, or none. */
  num_experts?: number;
  num_experts_per_tok?: number;
  moe_intermediate_size?: number;
  shared_expert_intermediate_size?: number;
  /** Factor on the load-balancing loss while training. Default 0.001, that of the public family. */
  router_aux_loss_coef?: number;
  tie_word_embeddings: boolean;
  bos_token_id: number | null;
  eos_token_id: number | number[] | null;
  pad_token_id: number | null;
}

/** Channels of a softmax head that turn. */
export function rotaryDim({ head_dim, rope_parameters }: Qwen35Config): number {
  return Math.floor(head_dim * rope_parameters.partial_rotary_factor);
}

/** Widths of queries, keys and values of a gated delta net, side by side in its projection. */
export function linearWidths(config: Qwen35Config): [query: number, key: number, value: number] {
  const keys = config.linear_num_key_heads * config.linear_key_head_dim;
  return [keys, keys, config.linear_num_value_heads * config.linear_value_head_dim];
}

/** What mixtures are made of; null: feed-forwards are dense. */
export function expertsOf(
  config: Qwen35Config,
): { count: number; chosen: number; width: number; shared: number } | null {
  if (config.model_type === 'qwen3_5_text') return null;
  return {
    count: config.num_experts as number,
    chosen: config.num_experts_per_tok as number,
    width: config.moe_intermediate_size as number,
    shared: config.shared_expert_intermediate_size as number,
  };
}
