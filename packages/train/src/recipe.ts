/**
 * @file The one dial: from a depth alone, a model and how it is trained, for laptops. One number trades time for quality. The
 * proportions of Quasar-3B by depth are another thing (`ofDepth` of the quasar family): those are for weeks on many machines.
 *
 *   width 32·depth, heads of 64 channels, feed-forward 8/3 of the width, all layers dense, kinds of layers as in the family;
 *   rows of 512 tokens, 2·depth of them a batch; 2 tokens per parameter; Muon; a learning rate that falls with the width.
 */
import { countParameters, type ModelConfig, type QuasarConfig, type Qwen35Config, SIZES } from '@quasar/model';
import { TRAIN_DEFAULTS, type TrainSettings } from './trainer.ts';

export interface Recipe<C extends ModelConfig = ModelConfig> {
  config: C;
  settings: Omit<TrainSettings, 'seed'>;
}

const WIDTH_PER_LAYER = 32;
const HEAD = 64;
const ROW = 512;
const ROWS_PER_LAYER = 2;
/** Twenty would make the most of the arithmetic (Hoffmann et al. 2022) where text is plenty; here minutes count. */
const TOKENS_PER_PARAMETER = 2;
/** Peak at a width of 128, for Quasar and transformer alike: the best of 2, 4 and 12e-3 in trials of 200 to 300 steps. */
const LEARNING_RATE = 4e-3;

/** A dense Quasar of this depth, an even number, whose state forgets at a learned rate; and settings to train it. */
export function recipe({ depth, vocabSize }: { depth: number; vocabSize: number }): Recipe<QuasarConfig> {
  const D = WIDTH_PER_LAYER * depth;
  const config: QuasarConfig = {
    ...SIZES.nano,
    vocab_size: vocabSize,
    d_model: D,
    n_layers: depth,
    n_heads: D / HEAD,
    head_dim: HEAD,
    d_ff: Math.ceil(D / 12) * 32,
    dense_input_layers: depth,
    residual_scale: 2.4 / depth,
    rope_theta: 1e4,
    quasar_decay: 'scalar',
  };
  return { config, settings: settingsOf(config, depth) };
}

function settingsOf(config: QuasarConfig, depth: number): Omit<TrainSettings, 'seed'> {
  const B = ROWS_PER_LAYER * depth;
  const steps = Math.ceil((TOKENS_PER_PARAMETER * countParameters(config).total) / (B * ROW));
  return {
    ...TRAIN_DEFAULTS,
    B,
    T: ROW,
    steps,
    learningRate: (LEARNING_RATE * 128) / config.d_model,
    warmupSteps: Math.min(50, Math.ceil(steps / 20)),
    decayShare: 0.5,
    matrices: 'muon',
    // Ten times the usual: little text is read several times.
    optimizer: { ...TRAIN_DEFAULTS.optimizer, weightDecay: 1 },
  };
}

/**
 * A softmax transformer (rotary positions, SwiGLU, norms on queries and keys, gated heads: a dense Qwen3.5 without its linear
 * layers) of the same depth, width and heads, whose feed-forwards make up the difference in parameters.
 */
export function transformerLike(config: QuasarConfig): Qwen35Config {
  const { d_model: D, n_layers: L, n_heads: H, head_dim: E } = config;
  const of = (intermediate_size: number): Qwen35Config => ({
    model_type: 'qwen3_5_text',
    vocab_size: config.vocab_size,
    hidden_size: D,
    num_hidden_layers: L,
    layer_types: Array.from({ length: L }, () => 'full_attention' as const),
    num_attention_heads: H,
    num_key_value_heads: H,
    head_dim: E,
    attention_bias: false,
    attention_dropout: 0,
    attn_output_gate: true,
    linear_num_key_heads: 1,
    linear_num_value_heads: 1,
    linear_key_head_dim: E,
    linear_value_head_dim: E,
    linear_conv_kernel_dim: 4,
    hidden_act: 'silu',
    rms_norm_eps: config.rms_norm_eps,
    initializer_range: config.initializer_range,
    max_position_embeddings: config.max_seq_len,
    rope_parameters: { rope_type: 'default', rope_theta: config.rope_theta, partial_rotary_factor: 1 },
    intermediate_size,
    tie_word_embeddings: false,
    bos_token_id: null,
    eos_token_id: null,
    pad_token_id: null,
  });
  const missing = countParameters(config).total - countParameters(of(0)).total;
  return of(Math.round(missing / (3 * D * L * 16)) * 16);
}
