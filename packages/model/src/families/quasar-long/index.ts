/** @file The quasar_long family (Quasar-Preview): softmax attention with branches of linear attention, group-limited experts. */
import { canonicalTokenMap } from '../../layers/engram-tensors.ts';
import type { Init } from '../../tensor-table.ts';
import type { Family } from '../family.ts';
import { isMoe, optionsOf, partsOf, type QuasarLongConfig } from './config.ts';
import { sequenceCost } from './cost.ts';
import { forwardQuasarLong } from './forward.ts';
import { parseQuasarLongConfig } from './parse-config.ts';
import { quasarLongTensors } from './tensors.ts';

export const quasarLong: Family<QuasarLongConfig> = {
  parseConfig: parseQuasarLongConfig,
  tensorTable: quasarLongTensors,
  freshTable(config, tokenizer) {
    const table = quasarLongTensors(config);
    if (optionsOf(config).engram_token_map !== 'canonical') return table;
    const map = canonicalTokenMap(tokenizer, config.vocab_size);
    const init: Init = { kind: 'integers', value: (id) => map[id] as number };
    for (const [name, spec] of table) if (name.endsWith('.engram.token_map')) table.set(name, { ...spec, init });
    return table;
  },
  expertShare: (config) => config.num_experts_per_tok / config.num_experts,
  expertBias(config) {
    const layers = Array.from({ length: config.num_hidden_layers }, (_, layer) => layer);
    return {
      // Checkpoints keep no momentum; the rest as in Quasar-3B.
      settings: { kappa: 2, lambda: 2e-3, beta: 0 },
      buffers: layers
        .filter((layer) => isMoe(config, layer))
        .map((layer) => ({
          layers: 1,
          bias: `model.layers.${layer}.mlp.gate.expert_bias`,
          momentum: null,
          overload: null,
        })),
    };
  },
  withTokens: (config, { end }) => ({ ...config, eos_token_id: end, pad_token_id: end }),
  layers(config) {
    const parts = Array.from({ length: config.num_hidden_layers }, (_, layer) => partsOf(config, layer));
    const count = (branch: string) => parts.filter((part) => part.branch === branch).length;
    const softmax = parts.filter((part) => part.softmax).length;
    return { softmax, quasar: count('quasar'), raven: count('raven'), gla: count('gla') };
  },
  sequenceCost,
  names: {
    unfused(name) {
      const match = /^(.*\.mlp\.experts)_w(12|3)$/.exec(name);
      if (!match) return null;
      const [, at, which] = match;
      const parts = which === '12' ? ['gate_proj', 'up_proj'] : ['down_proj'];
      return (expert) => parts.map((part) => `${at}.${expert}.${part}.weight`);
    },
  },
  forwardBlock: forwardQuasarLong,
};
