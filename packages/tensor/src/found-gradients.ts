/** @file The gradients that a backward pass has found so far, and the memory that it may free. */
import type { RowGradient } from './autograd.ts';
import type { DeviceBuffer } from './device.ts';
import { scopeAndKept } from './scope.ts';
import { ShapeError, Tensor } from './tensor.ts';

export class FoundGradients {
  readonly #of = new Map<Tensor, Tensor>();
  /** Gradients of single rows, one entry per use of a table. */
  readonly #rows = new Map<Tensor, RowGradient[]>();
  /** How many entries of `#of` and `#rows` use the memory of a gradient that the pass made; other memory is not ours to free. */
  readonly #made = new Map<DeviceBuffer, { tensor: Tensor; uses: number }>();
  /** Of those, the ones that had no use at some time since `freeUnused`. */
  readonly #idle = new Set<DeviceBuffer>();

  of(tensor: Tensor): Tensor | null {
    return this.#of.get(tensor) ?? null;
  }

  all(): Tensor[] {
    const rows = [...this.#rows.values()].flat().flatMap(({ ids, rows }) => [ids, rows]);
    return [...this.#of.values(), ...rows];
  }

  /** Of all uses, one after the other. */
  rowsOf(table: Tensor): RowGradient | null {
    const parts = this.#rows.get(table) ?? [];
    if (parts.length < 2) return parts[0] ?? null;
    const count = parts.reduce((sum, { ids }) => sum + ids.size, 0);
    const all = {
      ids: Tensor.empty(table.device, [count], 'int'),
      rows: Tensor.empty(table.device, [count, table.dim(-1)]),
    };
    for (const what of ['ids', 'rows'] as const) {
      let at = 0;
      for (const { [what]: part } of parts) {
        const { size } = part;
        table.device.run('copy_blocks', [all[what].buffer, part.buffer], [1, size, size, at, size, 0, 0]);
        at += size;
      }
    }
    return all;
  }

  /** Says that the backward pass made this tensor: it is freed when no gradient uses it. */
  made(tensor: Tensor): Tensor {
    if (this.#made.has(tensor.buffer)) return tensor;
    this.#made.set(tensor.buffer, { tensor, uses: 0 });
    this.#idle.add(tensor.buffer);
    return tensor;
  }

  /** Runs a backward function; its temporaries are freed at once, what it returns when no gradient uses it. */
  collect<T>(body: () => T): T {
    const { result, kept } = scopeAndKept(body);
    for (const tensor of kept) this.made(tensor);
    return result;
  }

  add(input: Tensor, gradient: Tensor): void {
    if (gradient.size !== input.size)
      throw new ShapeError(`gradients: gradient [${gradient.shape}] for input [${input.shape}]`);
    const before = this.of(input);
    if (!before) {
      this.#set(input, gradient);
      return;
    }
    const sum = this.#isShared(before) ? this.made(Tensor.empty(input.device, input.shape)) : before;
    input.device.run('axpby', [sum.buffer, before.buffer, gradient.buffer], [input.size, 1, 1]);
    if (sum !== before) this.#replace(input, sum);
  }

  /** The gradient so far, as memory that nothing else uses: an op may add its own to it. Null: there is none yet. */
  sum(input: Tensor): Tensor | null {
    const before = this.of(input);
    if (!before || !this.#isShared(before)) return before;
    const copy = this.made(Tensor.empty(input.device, input.shape));
    input.device.run('axpby', [copy.buffer, before.buffer, null], [input.size, 1, -0]); // + 0 would change the bits of -0
    this.#replace(input, copy);
    return copy;
  }

  /** An op may hand the same gradient to two inputs, or one that it did not make. */
  #isShared(gradient: Tensor): boolean {
    return this.#made.get(gradient.buffer)?.uses !== 1;
  }

  /** @throws ShapeError */
  addRows(table: Tensor, gradient: RowGradient): void {
    const { ids, rows } = gradient;
    if (rows.size !== ids.size * table.dim(-1))
      throw new ShapeError(`gradients: rows [${rows.shape}] at [${ids.shape}] for table [${table.shape}]`);
    const parts = this.#rows.get(table);
    if (parts) parts.push(gradient);
    else this.#rows.set(table, [gradient]);
    const made = this.#made.get(rows.buffer);
    if (made) made.uses++;
  }

  drop(input: Tensor): void {
    const gradient = this.#of.get(input);
    if (!gradient) return;
    this.#of.delete(input);
    const made = this.#made.get(gradient.buffer);
    if (made && --made.uses === 0) this.#idle.add(gradient.buffer);
  }

  freeUnused(): void {
    for (const buffer of this.#idle) {
      const made = this.#made.get(buffer);
      if (!made || made.uses > 0) continue;
      this.#made.delete(buffer);
      made.tensor.dispose();
    }
    this.#idle.clear();
  }

  #replace(input: Tensor, gradient: Tensor): void {
    this.drop(input);
    this.#set(input, gradient);
  }

  #set(input: Tensor, gradient: Tensor): void {
    this.#of.set(input, gradient);
    const made = this.#made.get(gradient.buffer);
    if (made) made.uses++;
  }
}
