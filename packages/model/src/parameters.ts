/** @file The tensors of a model on a device: a fresh one, and giving it back. */
import { QuasarError, type Rng } from '@quasar/base';
import { type Device, persist, sizeOf, Tensor } from '@quasar/tensor';
import { type ModelConfig, tensorTable } from './families/index.ts';
import { orthogonalRows } from './orthogonal.ts';
import type { Init, TensorSpec } from './tensor-table.ts';

/** By public name. Buffers are there too; only the others get `requiresGrad` when they are trained. */
export type Parameters = Map<string, Tensor>;

/** A fresh model. Each tensor draws from its own stream, so a new tensor never changes the others. */
export function initialParameters(config: ModelConfig, device: Device, rng: Rng): Parameters {
  return drawParameters(tensorTable(config), device, rng);
}

/** Fresh tensors of a table, or of a part of one. */
export function drawParameters(table: ReadonlyMap<string, TensorSpec>, device: Device, rng: Rng): Parameters {
  const parameters: Parameters = new Map();
  for (const [name, { shape, init, dtype }] of table) {
    const values = initialValues(shape, init, rng.fork(name));
    parameters.set(name, persist(Tensor.from(device, shape, values, dtype)));
  }
  return parameters;
}

/** What a fresh model holds in a tensor: floats, or whole numbers where the tensor is of integers. */
export function initialValues(shape: readonly number[], init: Init, rng: Rng): Float32Array | Int32Array {
  const length = sizeOf(shape);
  if (init.kind === 'integers') return Int32Array.from({ length }, (_, i) => init.value(i));
  if (init.kind === 'values') return Float32Array.from(init.values);
  if (init.kind === 'orthogonal')
    return Float32Array.from(orthogonalRows(sizeOf(shape.slice(0, -1)), shape.at(-1) ?? 1, rng));
  return Float32Array.from({ length }, drawing(init, rng));
}

function drawing(init: Exclude<Init, { kind: 'orthogonal' | 'integers' | 'values' }>, rng: Rng): () => number {
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
