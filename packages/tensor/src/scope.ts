/**
 * @file Arena scopes: what is allocated inside a scope is freed when it ends, except what the scope returns.
 * In place of reference counts: a training step frees its thousands of temporaries at once.
 */
import type { DeviceBuffer } from './device.ts';
import { Tensor } from './tensor.ts';

/** Open scopes, innermost last: their memory, each with the tensor that owns it (views own none). */
const stack: Map<DeviceBuffer, Tensor>[] = [];

/** Called by the allocator for each new tensor that owns memory. */
export function owned(tensor: Tensor): void {
  stack.at(-1)?.set(tensor.buffer, tensor);
}

/** Called when a tensor's memory is freed by hand, through it or a view. */
export function released(tensor: Tensor): void {
  for (const scope of stack) scope.delete(tensor.buffer);
}

/** Moves a tensor (or what it is a view of) out of every open scope: it lives until `dispose`. */
export function persist<T extends Tensor>(tensor: T): T {
  released(tensor);
  return tensor;
}

/** The tensors of a value: a tensor, or an array, map or plain object of values; each once, always in the same order. */
export function tensorsIn(value: unknown, found: Set<Tensor> = new Set()): Set<Tensor> {
  if (value === null || typeof value !== 'object') return found;
  if (value instanceof Tensor) found.add(value);
  else if (value instanceof Map) for (const v of value.values()) tensorsIn(v, found);
  else if (!ArrayBuffer.isView(value)) for (const v of Object.values(value)) tensorsIn(v, found);
  return found;
}

/**
 * Runs `body` and frees every tensor made inside, except those (and views of those) in its result: tensors, or arrays,
 * maps and plain objects of them. They move to the enclosing scope. `body` is synchronous, so scopes of concurrent
 * requests never interleave; read results after the scope.
 */
export function scope<T>(body: () => T): T {
  return scopeAndKept(body).result;
}

/** As `scope`; `kept` are the tensors that own the memory which was made inside and lives on. */
export function scopeAndKept<T>(body: () => T): { result: T; kept: Tensor[] } {
  const mine = new Map<DeviceBuffer, Tensor>();
  stack.push(mine);
  const inResult = new Set<DeviceBuffer>();
  const kept: Tensor[] = [];
  try {
    const result = body();
    if (result instanceof Promise) throw new TypeError('scope: the body must be synchronous');
    for (const { buffer } of tensorsIn(result)) inResult.add(buffer);
    return { result, kept };
  } finally {
    stack.pop();
    for (const tensor of mine.values()) {
      if (inResult.has(tensor.buffer)) {
        owned(tensor);
        kept.push(tensor);
      } else tensor.device.free(tensor.buffer);
    }
  }
}
