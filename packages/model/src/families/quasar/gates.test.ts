/** @file The quasar family passes the gates of every family. */
import { gates } from '../../testing/gates.ts';
import { TINY } from '../../testing/tiny.ts';
import type { QuasarConfig } from './config.ts';

/** The last layer is a GLA layer with a memory. */
const MEMORY: QuasarConfig = { ...TINY, memory_slots: 16, memory_dim: 16 };
/** Gradients as they are, so that they agree with differences. */
const UNSCALED = { anchor_grad_scale_gate: 1, anchor_grad_scale_P: 1 };
const VISIBLE = { d_model: 16, n_heads: 1, initializer_range: 1, moe_aux_loss_coeff: 0.5, moe_z_loss_coeff: 0.2 };
const UNUSED = /f_proj|A_log|dt_bias|compress_z/;

gates('quasar', {
  config: MEMORY,
  loops: {
    config: (num_loops, use_looped_injection) => ({
      ...MEMORY,
      n_layers: 2,
      dense_input_layers: 1,
      num_loops,
      use_looped_injection,
    }),
    gates: /injection_gate$/,
  },
  gradients: [
    {
      name: 'two loops with injection',
      config: { ...TINY, ...VISIBLE, ...UNSCALED, num_loops: 2, use_looped_injection: true },
      segments: [3, 2],
      unused: UNUSED,
    },
    {
      name: 'latent memory that starts from a learned bank',
      config: {
        ...MEMORY,
        ...VISIBLE,
        n_layers: 1,
        dense_input_layers: 1,
        use_gla_first: true,
        memory_bank: 'learned',
      },
      segments: [5, 70],
      only: /memory|W_alpha|C_to_hidden/,
      unused: UNUSED,
    },
  ],
});
