/**
 * @file Which tensors speak for who trained a model, from the state-dict table of its family.
 *
 * Upstream's list (subnet.md section 5, layer 2) named single tensors, once even ones that no Quasar model has, because
 * it read few by ranges. Here every tensor is read, and its role in the table decides: no name can be wrong.
 */
import { type ModelConfig, tensorTable } from '@quasar/model';

/**
 * `control`: state of training, as router balances. `train`: what learning moves most. `stable`: embeddings and norms,
 * which many honest models share; alone they never make a copy.
 */
export type TensorGroup = 'control' | 'train' | 'stable';

export function tensorGroups(config: ModelConfig): Map<string, TensorGroup> {
  return new Map(
    [...tensorTable(config)].map(([name, { role }]) => {
      if (role === 'buffer') return [name, 'control'];
      return [name, role === 'embedding' || role === 'norm' ? 'stable' : 'train'];
    }),
  );
}
