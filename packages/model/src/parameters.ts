/** @file The tensors of a model on a device: a fresh one, and giving it back. */
import { QuasarError, type Rng } from '@quasar/base';
import { type Device, persist, Tensor } from '@quasar/tensor';
import { drawTensor } from './draw.ts';
import { freshTable, type ModelConfig, tensorTable } from './families/index.ts';
import type { TensorSpec } from './tensor-table.ts';
import type { Tokenizer } from './tokenizer/index.ts';

/** By public name. Buffers are there too; only the others get `requiresGrad` when they are trained. */
export type Parameters = Map<string, Tensor>;

/**
 * A fresh model. Each tensor draws from its own stream, so a new tensor never changes the others.
 * @param tokenizer what the model will read; matters to models that look at the text of tokens
 */
export function initialParameters(config: ModelConfig, device: Device, rng: Rng, tokenizer?: Tokenizer): Parameters {
  return drawParameters(tokenizer ? freshTable(config, tokenizer) : tensorTable(config), device, rng);
}

/** Fresh tensors of a table, or of a part of one. */
export function drawParameters(table: ReadonlyMap<string, TensorSpec>, device: Device, rng: Rng): Parameters {
  const parameters: Parameters = new Map();
  for (const [name, spec] of table) {
    const tensor = persist(Tensor.empty(device, spec.shape, spec.dtype));
    parameters.set(name, tensor);
    let start = 0;
    for (const values of drawTensor(spec, rng.fork(name))) {
      device.write(tensor.buffer, values, start);
      start += values.length;
    }
  }
  return parameters;
}

export function disposeParameters(parameters: Parameters): void {
  for (const tensor of parameters.values()) tensor.dispose();
}

/** @throws QuasarError checkpoint.missing_tensor */
export function weight(parameters: Parameters, name: string): Tensor {
  const tensor = parameters.get(name);
  if (!tensor) throw new QuasarError('checkpoint.missing_tensor', `forward: parameter ${name} is missing`);
  return tensor;
}
