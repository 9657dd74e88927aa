/** @file For tests: the smallest quasar_long model that has every kind of layer, and steps over the cutoff of its rotation. */

import { SIZES } from '../families/index.ts';
import type { QuasarLongConfig } from '../families/quasar-long/config.ts';

/** Layers: softmax dense; quasar, raven and gla beside softmax, with a mixture. */
export const TINY_LONG: QuasarLongConfig = {
  ...SIZES['preview-nano'],
  vocab_size: 48,
  hidden_size: 32,
  intermediate_size: 48,
  initializer_range: 0.2,
  num_hidden_layers: 4,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 16,
  num_experts: 8,
  num_experts_per_tok: 2,
  n_group: 4,
  topk_group: 2,
  moe_intermediate_size: 16,
  moe_shared_expert_intermediate_size: 16,
  hybrid_attention_layers: [1, 2, 3],
  hybrid_raven_slots: 16,
  hybrid_raven_topk: 4,
  hybrid_output_adapter_rank: 4,
  nope_after_position: 5,
};

/** Two layers of it with memories of n-grams, small enough that rows are shared. */
export const TINY_ENGRAM: Partial<QuasarLongConfig> = {
  engram_layers: [0, 2],
  engram_dim: 24,
  engram_slots: 60,
  engram_num_heads: 2,
};
