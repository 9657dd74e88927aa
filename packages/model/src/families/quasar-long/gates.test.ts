/** @file The quasar_long family passes the gates of every family. */
import { gates } from '../../testing/gates.ts';
import { TINY_ENGRAM, TINY_LONG } from '../../testing/tiny-quasar-long.ts';
import type { QuasarLongConfig } from './config.ts';

/** Gradients as they are, so that they agree with differences; embeddings far larger than a step. */
const VISIBLE: Partial<QuasarLongConfig> = {
  hidden_size: 16,
  num_attention_heads: 1,
  num_key_value_heads: 1,
  initializer_range: 1,
  anchor_grad_scale_gate: 1,
  anchor_grad_scale_P: 1,
};
/** In checkpoints and without effect. */
const UNUSED = /quasar_attention\.(f_proj|A_log|dt_bias)|branch_mix_logits|branch_output_gain|local_window_mix_logit/;

gates('quasar_long', {
  config: TINY_LONG,
  stateGrows: true,
  loops: {
    config: (num_loops, use_looped_injection) => ({ ...TINY_LONG, num_loops, use_looped_injection }),
    gates: /injection_gate$/,
  },
  gradients: [
    {
      name: 'two loops with injection and stabiliser',
      config: {
        ...TINY_LONG,
        ...VISIBLE,
        num_loops: 2,
        use_looped_injection: true,
        use_parcae_loop_stabilizer: true,
      },
      segments: [3, 2],
      unused: UNUSED,
    },
    {
      name: 'branches alone',
      config: { ...TINY_LONG, ...VISIBLE, hybrid_replacement_mode: 'full' },
      segments: [5],
      only: /attention\.branch|_attention\./,
      unused: UNUSED,
    },
  ],
});

gates('quasar_long with memories of n-grams', {
  config: { ...TINY_LONG, ...TINY_ENGRAM, engram_residual_scale: 1 },
  stateGrows: true,
  gradients: [
    {
      name: 'memories',
      config: { ...TINY_LONG, ...VISIBLE, ...TINY_ENGRAM, engram_residual_scale: 1, num_loops: 2 },
      segments: [5, 4],
      only: /engram/,
    },
  ],
});
