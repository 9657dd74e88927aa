/** @file The qwen3_5 family passes the gates of every family. */
import { gates } from '../../testing/gates.ts';
import { TINY_QWEN, TINY_QWEN_MOE } from '../../testing/tiny-qwen3-5.ts';

const small = { ...TINY_QWEN, initializer_range: 0.5 };

gates('qwen3_5', {
  // Heads that forget at once have outputs near 0 now and then, and their norms amplify rounding: less so with small weights.
  config: { ...TINY_QWEN, initializer_range: 0.05 },
  stateGrows: true,
  gradients: [
    { name: 'both kinds of layers', config: small, segments: [3, 2] },
    {
      name: 'biases, the head tied to the embedding',
      config: {
        ...small,
        num_hidden_layers: 1,
        layer_types: ['full_attention'],
        attention_bias: true,
        tie_word_embeddings: true,
      },
      segments: [4],
      only: /bias|embed/,
    },
  ],
});

gates('qwen3_5 with experts', {
  config: { ...TINY_QWEN_MOE, initializer_range: 0.05 },
  stateGrows: true,
  gradients: [
    {
      name: 'experts',
      config: {
        ...TINY_QWEN_MOE,
        initializer_range: 0.5,
        num_hidden_layers: 1,
        layer_types: ['full_attention'],
      },
      segments: [3, 2],
      only: /mlp/,
    },
  ],
});
