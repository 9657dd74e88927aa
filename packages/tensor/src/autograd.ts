/**
 * @file Reverse-mode differentiation by a tape. While `gradients` runs its body, each op whose inputs need gradients
 * records how to turn the gradient of its outputs into gradients of its inputs; the tape is then walked backwards.
 */
import type { Tensor } from './tensor.ts';
import { ShapeError, Tensor as TensorClass } from './tensor.ts';

/** Gradient per output (null: that output was not used) to gradient per input (null: none flows). */
export type Backward = (outputGradients: (Tensor | null)[]) => (Tensor | null)[];

interface Entry {
  inputs: (Tensor | null)[];
  outputs: Tensor[];
  backward: Backward;
}

let tape: Entry[] | null = null;

/** True while a tape records and some input needs a gradient: an op saves what its backward pass needs only then. */
export function recording(inputs: readonly (Tensor | null)[]): boolean {
  return tape !== null && inputs.some((t) => t?.requiresGrad);
}

/** Puts an op on the tape. Call only when `recording(inputs)`. */
export function record(inputs: (Tensor | null)[], outputs: Tensor[], backward: Backward): void {
  for (const output of outputs) output.requiresGrad = true;
  tape?.push({ inputs, outputs, backward });
}

/** Runs `body` without recording, as for targets and metrics inside a loss. */
export function noGrad<T>(body: () => T): T {
  const saved = tape;
  tape = null;
  try {
    return body();
  } finally {
    tape = saved;
  }
}

export interface Gradients<T> {
  value: T;
  /** One per parameter, in order; null where the loss does not depend on it. */
  gradients: (Tensor | null)[];
}

/**
 * Gradients of a scalar loss with respect to `parameters` (which must have `requiresGrad`).
 * `body` returns an object whose `loss` has one element; the rest of it comes back as `value`.
 */
export function gradients<T extends { loss: Tensor }>(parameters: readonly Tensor[], body: () => T): Gradients<T> {
  if (tape) throw new Error('gradients: nested calls are not supported');
  tape = [];
  try {
    const value = body();
    if (value.loss.size !== 1)
      throw new ShapeError(`gradients: the loss must have one element, got [${value.loss.shape}]`);
    const entries = tape;
    tape = null;
    const found = new Map<Tensor, { gradient: Tensor; own: boolean }>();
    found.set(value.loss, { gradient: TensorClass.filled(value.loss.device, [1], 1), own: true });
    for (let i = entries.length - 1; i >= 0; i--) {
      const { inputs, outputs, backward } = entries[i] as Entry;
      const incoming = outputs.map((o) => found.get(o)?.gradient ?? null);
      if (incoming.every((g) => g === null)) continue;
      const outgoing = backward(incoming);
      inputs.forEach((input, k) => {
        const gradient = outgoing[k];
        if (input?.requiresGrad && gradient) accumulate(found, input, gradient);
      });
    }
    return { value, gradients: parameters.map((p) => found.get(p)?.gradient ?? null) };
  } finally {
    tape = null;
  }
}

/** The first gradient is shared (an op may hand the same tensor to two inputs); a sum is ours and grows in place. */
function accumulate(found: Map<Tensor, { gradient: Tensor; own: boolean }>, input: Tensor, gradient: Tensor): void {
  if (gradient.size !== input.size)
    throw new ShapeError(`gradients: gradient [${gradient.shape}] for input [${input.shape}]`);
  const before = found.get(input);
  if (!before) {
    found.set(input, { gradient, own: false });
    return;
  }
  const sum = before.own ? before.gradient : TensorClass.empty(input.device, input.shape);
  input.device.run('axpby', [sum.buffer, before.gradient.buffer, gradient.buffer], [input.size, 1, 1]);
  found.set(input, { gradient: sum, own: true });
}
