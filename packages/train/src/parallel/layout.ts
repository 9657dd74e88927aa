/**
 * @file Where tensors lie in the shared memory of a run: weights and buffers, then a slot for the gradients of each worker. A
 * number takes four bytes, whatever its type.
 */
import { type Checkpoint, tensorTable } from '@quasar/model';
import { sizeOf, type Tensor } from '@quasar/tensor';
import type { Objective } from '../objectives/objective.ts';

const BYTES = 4;

export interface Place {
  tensor: Tensor;
  /** In bytes. */
  start: number;
}

export interface Layout {
  /** What the optimizer or the expert bias may change in a step. */
  changing: Place[];
  /** Integers and frozen parameters. */
  fixed: Place[];
  /** Gradients of one worker, in the order of `names`; starts count from the slot's. */
  gradients: Place[];
  /** Where slots begin, and how long each is. */
  slots: { start: number; bytes: number };
}

/** @param names parameters with a gradient: of the model, and of its objective */
export function layoutOf(
  { config, parameters }: Pick<Checkpoint, 'config' | 'parameters'>,
  objective: Objective,
  names: readonly string[],
): Layout {
  const table = tensorTable(config);
  const own = objective.parameters?.tensors ?? new Map<string, Tensor>();
  let at = 0;
  const place = (tensor: Tensor): Place => {
    const start = at;
    at += sizeOf(tensor.shape) * BYTES;
    return { tensor, start };
  };
  const [changing, fixed]: [Place[], Place[]] = [[], []];
  for (const [name, { dtype, isFrozen = false }] of table)
    (dtype === 'int' || isFrozen ? fixed : changing).push(place(parameters.get(name) as Tensor));
  for (const tensor of own.values()) changing.push(place(tensor));
  const start = at;
  at = 0;
  const gradients = names.map((name) => place((parameters.get(name) ?? own.get(name)) as Tensor));
  return { changing, fixed, gradients, slots: { start, bytes: at } };
}

/** The numbers of a place, in the memory itself. @param offset of the part of the memory that starts count from */
export function view(buffer: ArrayBuffer, { tensor, start }: Place, offset = 0): Float32Array | Int32Array {
  const Kind = tensor.dtype === 'int' ? Int32Array : Float32Array;
  return new Kind(buffer, offset + start, sizeOf(tensor.shape));
}
