/** @file The SMEBU update of a training step: from the tokens that each expert got to the selection bias of the next step. */
import { type Checkpoint, expertBiasOf } from '@quasar/model';
import { smebu, type Tensor } from '@quasar/tensor';

/** Call once per optimizer step; models without such a bias stay as they are. @param counts tokens per expert of each (loop, mixture layer), in the order of `forward` */
export function updateExpertBias({ config, parameters }: Checkpoint, counts: readonly Tensor[]): void {
  const settings = expertBiasOf(config);
  if (!settings) return;
  const [bias, momentum, maxVio] = ['all_moe_bias', 'all_moe_momentum', 'all_moe_max_vio'].map(
    (name) => parameters.get(`model.${name}`) as Tensor,
  ) as [Tensor, Tensor, Tensor];
  smebu(bias, momentum, maxVio, counts, settings);
}
