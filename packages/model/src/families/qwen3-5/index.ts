/** @file The qwen3_5 family (text): gated delta nets with a softmax layer now and then, dense feed-forwards or mixtures of experts. */
import type { Family } from '../family.ts';
import { expertsOf, type Qwen35Config } from './config.ts';
import { sequenceCost } from './cost.ts';
import { forwardQwen35 } from './forward.ts';
import { qwen35Names } from './names.ts';
import { parseQwen35Config } from './parse-config.ts';
import { qwen35Tensors } from './tensors.ts';

export const qwen35: Family<Qwen35Config> = {
  parseConfig: parseQwen35Config,
  tensorTable: qwen35Tensors,
  expertShare(config) {
    const experts = expertsOf(config);
    return experts ? experts.chosen / experts.count : 1;
  },
  withTokens: (config, { begin, end }) => ({ ...config, bos_token_id: begin, eos_token_id: end }),
  layers({ layer_types: types }) {
    const count = (type: string) => types.filter((one) => one === type).length;
    return { 'gated delta net': count('linear_attention'), 'softmax attention': count('full_attention') };
  },
  sequenceCost,
  names: qwen35Names,
  forwardBlock: forwardQwen35,
};
