/** @file The SMEBU update of a training step: from the tokens that each expert got to the selection bias of the next step. */
import { type Checkpoint, expertBiasOf } from '@quasar/model';
import { scope, smebu, Tensor } from '@quasar/tensor';

/**
 * Call once per optimizer step; models without such a bias stay as they are.
 * @param counts tokens per expert of each (loop, mixture layer), in the order of `forward`
 */
export function updateExpertBias({ config, parameters }: Checkpoint, counts: readonly Tensor[]): void {
  const found = expertBiasOf(config);
  if (!found) return;
  const { settings, buffers } = found;
  const total = buffers.reduce((sum, { layers }) => sum + layers, 0);
  let first = 0;
  for (const { layers, ...names } of buffers) {
    const [from, to] = [first, first + layers];
    const own = counts.filter((_, i) => i % total >= from && i % total < to);
    const bias = parameters.get(names.bias) as Tensor;
    scope(() => {
      const buffer = (name: string | null, shape: readonly number[]) =>
        name === null ? Tensor.zeros(bias.device, shape) : (parameters.get(name) as Tensor);
      smebu(bias, buffer(names.momentum, bias.shape), buffer(names.overload, [layers]), own, settings);
    });
    first = to;
  }
}
