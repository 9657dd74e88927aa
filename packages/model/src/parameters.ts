/** @file The tensors of a model on a device: a fresh one, and giving it back. */
import { QuasarError, type Rng } from '@quasar/base';
import { type Device, persist, sizeOf, Tensor } from '@quasar/tensor';
import { type ModelConfig, tensorTable } from './families/index.ts';
import type { Init } from './tensor-table.ts';

/** By public name. Buffers are there too; only the others get `requiresGrad` when they are trained. */
export type Parameters = Map<string, Tensor>;

/** A fresh model. Each tensor draws from its own stream, so a new tensor never changes the others. */
export function initialParameters(config: ModelConfig, device: Device, rng: Rng): Parameters {
  const parameters: Parameters = new Map();
  for (const [name, { shape, init }] of tensorTable(config)) {
    const next = drawing(init, rng.fork(name));
    const values = Float32Array.from({ length: sizeOf(shape) }, next);
    parameters.set(name, persist(Tensor.from(device, shape, values)));
  }
  return parameters;
}

function drawing(init: Init, rng: Rng): () => number {
  switch (init.kind) {
    case 'constant':
      return () => init.value;
    case 'normal':
      return () => rng.normal() * init.std;
    case 'uniform':
      return () => (rng.next() * 2 - 1) * init.bound;
    case 'logUniform':
      return () => Math.log(init.low + rng.next() * (init.high - init.low));
    case 'inverseSoftplus':
      return () => Math.log(Math.expm1(init.low * (init.high / init.low) ** rng.next()));
  }
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
