/** @file State, cache and work of one sequence in the quasar_long family. Source: architecture §3.5.10, §3.6, §3.7, §5; C = 64. */

import { engramStateFloats } from '../../layers/engram.ts';
import type { SequenceCost } from '../family.ts';
import { engramOptions, partsOf, type QuasarLongConfig } from './config.ts';

const CHUNK = 64;
const FLOAT_BYTES = 4;

export function sequenceCost(config: QuasarLongConfig): SequenceCost {
  const { num_attention_heads: H, num_key_value_heads: Hk, head_dim: E, num_loops: loops } = config;
  const M = config.hybrid_raven_slots;
  const perBranch = {
    quasar: { floats: H * E * E, flops: H * (6 * E * E + CHUNK * 8 * E) },
    gla: { floats: H * E * E, flops: H * (4 * E * E + 2 * CHUNK * 2 * E) },
    // Two passes: queries on keys of slots, shares of slots on their values.
    raven: { floats: 2 * H * M * E, flops: H * 2 * (4 * M * E + CHUNK * (M + E)) },
  };
  let [floats, flops, softmaxLayers] = [0, 0, 0];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const { softmax, branch } = partsOf(config, layer);
    if (softmax) softmaxLayers++;
    floats += branch ? perBranch[branch].floats : 0;
    flops += branch ? perBranch[branch].flops : 0;
    floats += config.engram_layers.includes(layer) ? engramStateFloats(engramOptions(config)) : 0;
  }
  return {
    loops,
    stateBytes: loops * floats * FLOAT_BYTES,
    cacheBytesPerToken: loops * softmaxLayers * 2 * Hk * E * FLOAT_BYTES,
    recurrenceFlops: loops * flops,
    contextFlops: loops * softmaxLayers * 4 * H * E,
  };
}
