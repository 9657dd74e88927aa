/** @file State, cache and work of one sequence in the qwen3_5 family; chunks of 64 tokens, counted as in §3.5.10. */
import type { SequenceCost } from '../family.ts';
import { linearWidths, type Qwen35Config } from './config.ts';

const CHUNK = 64;
const FLOAT_BYTES = 4;

export function sequenceCost(config: Qwen35Config): SequenceCost {
  const { linear_num_value_heads: H, linear_key_head_dim: dk, linear_value_head_dim: dv } = config;
  const [query, key, value] = linearWidths(config);
  const linear = config.layer_types.filter((type) => type === 'linear_attention').length;
  const full = config.layer_types.length - linear;
  const convTail = (config.linear_conv_kernel_dim - 1) * (query + key + value);
  return {
    loops: 1,
    stateBytes: linear * (H * dk * dv + convTail) * FLOAT_BYTES,
    cacheBytesPerToken: full * 2 * config.num_key_value_heads * config.head_dim * FLOAT_BYTES,
    recurrenceFlops: linear * H * (6 * dk * dv + CHUNK * (5 * dk + 3 * dv)),
    contextFlops: full * 4 * config.num_attention_heads * config.head_dim,
  };
}
