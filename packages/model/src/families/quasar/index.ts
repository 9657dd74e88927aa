/** @file The quasar family (Quasar-3B): a looped stack of Quasar attention and GLA with BigMac experts, no softmax. */
import type { Family } from '../family.ts';
import { layerType, optionsOf, type QuasarConfig } from './config.ts';
import { sequenceCost } from './cost.ts';
import { forwardQuasar } from './forward.ts';
import { parseQuasarConfig } from './parse-config.ts';
import { quasarTensors } from './tensors.ts';

export const quasar: Family<QuasarConfig> = {
  parseConfig: parseQuasarConfig,
  tensorTable: quasarTensors,
  expertShare: (config) => config.top_k / config.num_routed_experts,
  expertBias(config) {
    const { smebu_kappa: kappa, smebu_lambda: lambda, smebu_beta: beta } = config;
    const layers = Math.max(0, config.n_layers - config.dense_input_layers);
    const [bias, momentum, overload] = ['bias', 'momentum', 'max_vio'].map((name) => `model.all_moe_${name}`) as [
      string,
      string,
      string,
    ];
    return { settings: { kappa, lambda, beta }, buffers: layers > 0 ? [{ layers, bias, momentum, overload }] : [] };
  },
  withTokens: (config, { begin, end }) => ({ ...config, bos_token_id: begin, eos_token_id: end }),
  layers(config) {
    const types = Array.from({ length: config.n_layers }, (_, layer) => layerType(config, layer));
    const { attention } = optionsOf(config);
    const [own, gla] = (['quasar', 'gla'] as const).map((type) => types.filter((one) => one === type).length);
    return attention === 'gla' ? { gla: types.length } : { [attention]: own as number, gla: gla as number };
  },
  sequenceCost,
  forwardBlock: forwardQuasar,
};
