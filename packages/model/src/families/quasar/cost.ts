/** @file State and work of one sequence in the quasar family. Source: architecture §3.5.10, §3.6, §3.8, §5; C = 64. */
import type { SequenceCost } from '../family.ts';
import { glaKeyDim, layerType, optionsOf, type QuasarConfig } from './config.ts';

const CHUNK = 64;
const FLOAT_BYTES = 4;

export function sequenceCost(config: QuasarConfig): SequenceCost {
  const { d_model: D, n_heads: H, head_dim: E, n_layers: L, num_loops: loops, memory_slots: K, memory_dim: M } = config;
  const dk = glaKeyDim(config);
  const convTails = config.use_short_conv ? 3 * (config.conv_size - 1) * D : 0;
  // Of an open segment: up to 63 rows, each with its saliency.
  const memory = K > 0 && optionsOf(config).memory_mode === 'causal' ? K * M + (CHUNK - 1) * (M + 1) : 0;
  const { attention } = optionsOf(config);
  const added = (keys: number) => H * (4 * keys * E + 2 * CHUNK * (keys + E));
  const delta = H * (6 * E * E + CHUNK * 8 * E);
  const linear = { floats: H * E * E + convTails, flops: attention === 'gla' ? added(E) : delta, cached: 0 };
  const perLayer = {
    quasar: attention === 'softmax' ? { floats: convTails, flops: 0, cached: 2 * D } : linear,
    gla: { floats: H * dk * E + memory, flops: added(dk) + 4 * K * M, cached: 0 },
  };
  let [floats, flops, cached] = [0, 0, 0];
  for (let layer = 0; layer < L; layer++) {
    const of = perLayer[layerType(config, layer)];
    floats += of.floats;
    flops += of.flops;
    cached += of.cached;
  }
  return {
    loops,
    stateBytes: loops * floats * FLOAT_BYTES,
    cacheBytesPerToken: loops * cached * FLOAT_BYTES,
    recurrenceFlops: loops * flops,
    // q·k and the weighted sum of v, two operations each.
    contextFlops: loops * cached * 2,
  };
}
