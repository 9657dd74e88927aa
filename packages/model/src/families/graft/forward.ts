/** @file The forward pass of a graft: that of its base, with a branch beside the attention of the grafted layers. */
import { QuasarError } from '@quasar/base';
import { add, sigmoid, type Tensor } from '@quasar/tensor';
import type { Block, BlockOptions, BlockOutput } from '../../block.ts';
import { scaleBy } from '../../layers/anchor.ts';
import type { LayerContext } from '../../layers/context.ts';
import { detach } from '../../layers/detach.ts';
import { quasarAttention } from '../../layers/quasar-attention.ts';
import { type Parameters, weight } from '../../parameters.ts';
import { familyOf } from '../index.ts';
import { branchOptions, type GraftConfig } from './config.ts';

/** @throws QuasarError model.unsupported, checkpoint.missing_tensor */
export function forwardGraft(
  config: GraftConfig,
  parameters: Parameters,
  block: Block,
  options: BlockOptions = {},
): BlockOutput {
  const grafted = new Set(config.layers);
  const branch = (y: Tensor, u: Tensor, c: LayerContext<unknown>, layer: number): Tensor => {
    if (!grafted.has(layer)) return y;
    const own: LayerContext<unknown> = {
      ...c,
      weight: (name) => weight(parameters, `graft.layers.${layer}.${name}`),
      load: (name) => c.load(`graft.${name}`),
      save: (name, tensor) => c.save(`graft.${name}`, tensor),
    };
    const added = quasarAttention(c.mimic ? detach(u) : u, own, branchOptions(config));
    if (c.mimic) {
      c.mimic(detach(y), added);
      return y;
    }
    return add(y, scaleBy(added, sigmoid(own.weight('gate'))));
  };
  const out = familyOf(config.base).forwardBlock(config.base, parameters, block, { ...options, branch });
  for (const layer of config.layers) {
    if (out.tensors.has(`0.${layer}.graft.S`)) continue;
    throw new QuasarError('model.unsupported', `forward: layer ${layer} of ${config.base.model_type} takes no branch`, {
      hint: 'graft upon other layers',
    });
  }
  return out;
}
