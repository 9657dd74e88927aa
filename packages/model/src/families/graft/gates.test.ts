/** @file Grafts upon models of both kinds pass the gates of every family. */
import { Rng } from '@quasar/base';
import type { Device } from '@quasar/tensor';
import { gates } from '../../testing/gates.ts';
import { TINY, tinyParameters } from '../../testing/tiny.ts';
import { TINY_QWEN } from '../../testing/tiny-qwen3-5.ts';
import type { ModelConfig } from '../index.ts';
import type { BaseConfig, GraftConfig } from './config.ts';

const upon = (base: BaseConfig): GraftConfig => ({
  model_type: 'quasar_graft',
  vocab_size: base.vocab_size,
  base,
  layers: [0, 1],
  heads: 2,
  head_dim: 16,
  conv_size: 3,
  gate_init: 0.8473,
});

/** Trained branches: their output projections are no longer 0. */
async function trained(device: Device, config: ModelConfig, seed = 'graft') {
  const parameters = await tinyParameters(device, config, seed);
  for (const [name, tensor] of parameters) {
    const rng = new Rng(`${seed}/${name}`);
    if (name.endsWith('attn.o_proj.weight') && name.startsWith('graft.'))
      tensor.write(Float64Array.from({ length: tensor.size }, () => Math.fround(0.2 * rng.normal())));
  }
  return parameters;
}

const QUASAR: GraftConfig = upon({ ...TINY, n_layers: 2, dense_input_layers: 1 });
const QWEN: GraftConfig = upon({ ...TINY_QWEN, initializer_range: 0.05 });

gates('a graft upon quasar', {
  config: QUASAR,
  makeParameters: trained,
  gradients: [
    {
      name: 'branches',
      config: { ...QUASAR, base: { ...QUASAR.base, initializer_range: 1 } as BaseConfig },
      segments: [3, 2],
      only: /^graft/,
    },
  ],
});
gates('a graft upon qwen3_5', {
  config: QWEN,
  makeParameters: trained,
  stateGrows: true,
  gradients: [
    {
      name: 'branches',
      config: { ...QWEN, base: { ...QWEN.base, initializer_range: 0.5 } as BaseConfig },
      segments: [3, 2],
      only: /^graft/,
    },
  ],
});
