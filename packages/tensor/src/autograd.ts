/**
 * @file Reverse-mode differentiation by a tape. While `gradients` runs its body, each op whose inputs need gradients
 * records how to turn the gradient of its outputs into gradients of its inputs; the tape is then walked backwards, and what
 * the rest of the walk does not need is freed on the way.
 */
import type { DeviceBuffer } from './device.ts';
import { FoundGradients } from './found-gradients.ts';
import { scope, tensorsIn } from './scope.ts';
import { ShapeError, Tensor } from './tensor.ts';

/** Gradient of some rows of a table [V, D]: `rows` [..., D] at `ids` (int). Rows of an id that comes several times add up. */
export interface RowGradient {
  ids: Tensor;
  rows: Tensor;
}

/**
 * Gradient per output (null: that output was not used) to gradient per input (null: none flows).
 * @param sumOf what other ops found for input k, if anything: an op that can add to a tensor in place adds its own and
 * returns that tensor.
 */
export type Backward = (
  outputGradients: (Tensor | null)[],
  sumOf: (input: number) => Tensor | null,
) => (Tensor | RowGradient | null)[];

/** An op, or a checkpoint: `again` runs its body once more, records it in `entries` and gives the outputs anew. */
type Entry = { outputs: Tensor[] } & (
  | { inputs: (Tensor | null)[]; backward: Backward }
  | { again: (entries: Entry[]) => Tensor[] }
);

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

/** Runs `body` with another tape, or none. */
function withTape<T>(entries: Entry[] | null, body: () => T): T {
  const saved = tape;
  tape = entries;
  try {
    return body();
  } finally {
    tape = saved;
  }
}

/** Runs `body` without recording, as for targets and metrics inside a loss. */
export function noGrad<T>(body: () => T): T {
  return withTape(null, body);
}

/**
 * Runs `body`, keeps nothing but its result (tensors, or arrays, maps and plain objects of them), and runs it again when
 * the backward pass needs what lies between: less memory for one more forward pass (Chen et al. 2016). Gradients have the
 * bits that they have without. `body` must do the same both times, from tensors that live until the backward pass.
 */
export function checkpoint<T>(body: () => T): T {
  if (!tape) return body();
  const { result, outputs } = scope(() => recordOutputs(body, []));
  if (outputs.length > 0) tape.push({ outputs, again: (entries) => recordOutputs(body, entries).outputs });
  return result;
}

/** The result, and those tensors in it that `entries` made. */
function recordOutputs<T>(body: () => T, entries: Entry[]): { result: T; outputs: Tensor[] } {
  const result = withTape(entries, body);
  const made = new Set(entries.flatMap((entry) => entry.outputs));
  return { result, outputs: [...tensorsIn(result)].filter((tensor) => made.has(tensor)) };
}

export interface Gradients<T> {
  value: T;
  /** One per parameter, in order; null where the loss does not depend on it. */
  gradients: (Tensor | null)[];
  /** Of parameters that are read as tables of rows, which have no other gradient; null for the rest. */
  rowGradients: (RowGradient | null)[];
}

/**
 * Gradients of a scalar loss with respect to `parameters` (which must have `requiresGrad`).
 * `body` returns an object whose `loss` has one element; the rest of it comes back as `value`. What else `body` computed on
 * the way to the loss is freed.
 */
export function gradients<T extends { loss: Tensor }>(parameters: readonly Tensor[], body: () => T): Gradients<T> {
  if (tape) throw new Error('gradients: nested calls are not supported');
  const entries: Entry[] = [];
  const value = withTape(entries, body);
  if (value.loss.size !== 1)
    throw new ShapeError(`gradients: the loss must have one element, got [${value.loss.shape}]`);
  const found = new FoundGradients();
  found.add(value.loss, found.made(Tensor.filled(value.loss.device, [1], 1)));
  walk(entries, found, new Set(parameters), new Set([...parameters, ...tensorsIn(value)].map(({ buffer }) => buffer)));
  return { value, gradients: parameters.map((p) => found.of(p)), rowGradients: parameters.map((p) => found.rowsOf(p)) };
}

/**
 * Walks the tape backwards. What an op made is needed by ops after it alone, so when its turn is over, its outputs and
 * their gradients are freed.
 * @param wanted tensors whose gradients are the result
 * @param kept memory of the body's result
 */
function walk(entries: Entry[], found: FoundGradients, wanted: Set<Tensor>, kept: Set<DeviceBuffer>): void {
  const first = new Map<DeviceBuffer, number>();
  entries.forEach((entry, i) => {
    const inputs = 'inputs' in entry ? entry.inputs : [];
    for (const tensor of [...inputs, ...entry.outputs]) {
      if (tensor && !first.has(tensor.buffer)) first.set(tensor.buffer, entry.outputs.includes(tensor) ? i : -1);
    }
  });
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = entries.pop() as Entry;
    const { outputs } = entry;
    const incoming = outputs.map((output) => found.of(output));
    if (incoming.some((gradient) => gradient !== null)) {
      if ('again' in entry) runAgain(entry.again, incoming, found);
      else pass(entry, incoming, found);
    }
    for (const output of outputs) {
      if (!wanted.has(output)) found.drop(output);
      if (first.get(output.buffer) === i && !kept.has(output.buffer)) output.dispose();
    }
    found.freeUnused();
  }
}

function pass(
  { inputs, backward }: { inputs: (Tensor | null)[]; backward: Backward },
  incoming: (Tensor | null)[],
  found: FoundGradients,
): void {
  const added = new Set<number>();
  const sumOf = (k: number): Tensor | null => {
    const input = inputs[k];
    const sum = input?.requiresGrad ? found.sum(input) : null;
    if (sum) added.add(k);
    return sum;
  };
  const outgoing = found.collect(() => backward(incoming, sumOf));
  inputs.forEach((input, k) => {
    const gradient = outgoing[k];
    if (!input?.requiresGrad || !gradient || added.has(k)) return;
    if ('ids' in gradient) found.addRows(input, gradient);
    else found.add(input, gradient);
  });
}

function runAgain(again: (entries: Entry[]) => Tensor[], incoming: (Tensor | null)[], found: FoundGradients): void {
  scope(() => {
    const entries: Entry[] = [];
    const outputs = again(entries);
    incoming.forEach((gradient, k) => {
      if (gradient) found.add(outputs[k] as Tensor, gradient);
    });
    walk(entries, found, new Set(), new Set());
    return found.all();
  });
}
