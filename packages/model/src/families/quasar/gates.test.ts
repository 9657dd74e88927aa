/** @file The quasar family passes the gates of every family. */
import { gates } from '../../testing/gates.ts';
import { TINY } from '../../testing/tiny.ts';

gates('quasar', {
  config: TINY,
  loops: {
    config: (num_loops, use_looped_injection) => ({
      ...TINY,
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
      config: {
        ...TINY,
        d_model: 16,
        n_heads: 1,
        initializer_range: 1,
        num_loops: 2,
        use_looped_injection: true,
        moe_aux_loss_coeff: 0.5,
        moe_z_loss_coeff: 0.2,
      },
      segments: [3, 2],
      unused: /f_proj|A_log|dt_bias/,
    },
  ],
});
