/** @file For tests: small models whose caches grow with every token, of every family that has some. */
import {
  type GraftConfig,
  type ModelConfig,
  parseConfig,
  type QuasarConfig,
  type QuasarLongConfig,
  SIZES,
} from '@quasar/model';
import { TINY, TOKENIZER } from './tiny-engine.ts';

const qwen = parseConfig({
  model_type: 'qwen3_5_text',
  vocab_size: TOKENIZER.vocabSize,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  full_attention_interval: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 16,
  linear_num_key_heads: 1,
  linear_num_value_heads: 2,
  linear_key_head_dim: 16,
  linear_value_head_dim: 16,
  linear_conv_kernel_dim: 4,
  hidden_act: 'silu',
  rms_norm_eps: 1e-6,
  initializer_range: 0.3,
  max_position_embeddings: 512,
  rope_theta: 1e4,
});
if (!qwen.ok) throw new Error(JSON.stringify(qwen.issues));
/** Layers: softmax dense; quasar, raven and gla beside softmax, with experts. */
const long: QuasarLongConfig = {
  ...SIZES['preview-nano'],
  vocab_size: TOKENIZER.vocabSize,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 4,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 16,
  initializer_range: 0.2,
  num_experts: 8,
  moe_intermediate_size: 16,
  moe_shared_expert_intermediate_size: 16,
  hybrid_attention_layers: [1, 2, 3],
  hybrid_raven_slots: 16,
  hybrid_raven_topk: 4,
  nope_after_position: 8,
};
/** Memories of n-grams, and every layer twice. */
const looped: QuasarLongConfig = {
  ...long,
  num_loops: 2,
  engram_layers: [0, 2],
  engram_dim: 24,
  engram_slots: 60,
  engram_num_heads: 2,
};
const graft: GraftConfig = {
  model_type: 'quasar_graft',
  vocab_size: TOKENIZER.vocabSize,
  base: qwen.value as GraftConfig['base'],
  layers: [0, 1],
  heads: 2,
  head_dim: 16,
  conv_size: 3,
  gate_init: 0.8,
};
const softmax: QuasarConfig = { ...TINY, attention: 'softmax' };

export const GROWING: Record<'qwen3_5' | 'quasar_long' | 'looped' | 'graft' | 'softmax', ModelConfig> = {
  qwen3_5: qwen.value,
  quasar_long: long,
  looped,
  graft,
  softmax,
};
