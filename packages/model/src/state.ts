/**
 * @file The streaming state: everything a sequence carries from block to block. A value: fork it, keep it, go on from
 * it twice. For the linear layers its size does not depend on how much was read.
 */
import { QuasarError } from '@quasar/base';
import { Tensor } from '@quasar/tensor';

export class ModelState {
  /** Tokens read so far, per batch row. */
  readonly lengths: Int32Array;
  /** `loop.layer.name` -> tensor with the batch as first axis. */
  readonly tensors: ReadonlyMap<string, Tensor>;

  constructor(lengths: Int32Array, tensors: ReadonlyMap<string, Tensor>) {
    this.lengths = lengths;
    this.tensors = tensors;
  }

  get batch(): number {
    return this.lengths.length;
  }

  /** Bytes on the device. */
  get sizeBytes(): number {
    let bytes = 0;
    for (const tensor of this.tensors.values()) bytes += tensor.size * tensor.device.floatBytes;
    return bytes;
  }

  /**
   * The state of some rows, in the given order; a row may appear more than once (a fork).
   * @throws QuasarError model.row_out_of_range
   */
  select(rows: readonly number[]): ModelState {
    checkRows('select', rows, this.batch);
    const tensors = new Map<string, Tensor>();
    for (const [key, tensor] of this.tensors) {
      const width = tensor.size / this.batch;
      const out = Tensor.empty(tensor.device, [rows.length, ...tensor.shape.slice(1)]);
      const index = Tensor.from(tensor.device, [rows.length], rows, 'int');
      tensor.device.run('gather_rows', [out.buffer, tensor.buffer, index.buffer], [rows.length, width]);
      tensors.set(key, out);
    }
    return new ModelState(
      Int32Array.from(rows, (r) => this.lengths[r] as number),
      tensors,
    );
  }

  /** A state of its own, for keeping while this one is disposed. */
  copy(): ModelState {
    return this.select(Array.from(this.lengths, (_, row) => row));
  }

  dispose(): void {
    for (const tensor of this.tensors.values()) tensor.dispose();
  }
}

/** Kernels read rows unchecked. @throws QuasarError model.row_out_of_range */
export function checkRows(what: string, rows: ArrayLike<number>, count: number): void {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (Number.isInteger(row) && row >= 0 && row < count) continue;
    throw new QuasarError('model.row_out_of_range', `${what}: row ${row} at index ${i}, there are ${count} rows`);
  }
}
