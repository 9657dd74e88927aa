/** @file A tensor: shape, dtype and a buffer on a device. Immutable to its users; ops make new ones. */
import { QuasarError } from '@quasar/base';
import type { Device, DeviceBuffer, DType } from './device.ts';
import { owned, released } from './scope.ts';

export type Shape = readonly number[];

export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

export class ShapeError extends QuasarError {
  constructor(message: string) {
    super('tensor.shape', message, { hint: 'check the shapes that reach this op' });
    this.name = 'ShapeError';
  }
}

export class Tensor {
  readonly device: Device;
  readonly shape: Shape;
  readonly buffer: DeviceBuffer;
  /** Gradients flow to this tensor; set for parameters and for what is computed from them while recording. */
  requiresGrad = false;

  constructor(device: Device, shape: Shape, buffer: DeviceBuffer) {
    this.device = device;
    this.shape = shape;
    this.buffer = buffer;
  }

  /** Uninitialised; freed with the innermost open scope. */
  static empty(device: Device, shape: Shape, dtype: DType = 'float'): Tensor {
    const tensor = new Tensor(device, [...shape], device.allocate(dtype, sizeOf(shape)));
    owned(tensor);
    return tensor;
  }

  static zeros(device: Device, shape: Shape): Tensor {
    return Tensor.filled(device, shape, 0);
  }

  static filled(device: Device, shape: Shape, value: number): Tensor {
    const tensor = Tensor.empty(device, shape);
    if (tensor.size > 0) device.run('fill', [tensor.buffer], [tensor.size, value]);
    return tensor;
  }

  /** @throws ShapeError when `data` does not fill `shape`. */
  static from(device: Device, shape: Shape, data: ArrayLike<number>, dtype: DType = 'float'): Tensor {
    if (data.length !== sizeOf(shape)) {
      throw new ShapeError(`Tensor.from: shape [${shape}] needs ${sizeOf(shape)} values, got ${data.length}`);
    }
    const tensor = Tensor.empty(device, shape, dtype);
    if (tensor.size > 0) device.write(tensor.buffer, data);
    return tensor;
  }

  get size(): number {
    return this.buffer.length;
  }

  get dtype(): DType {
    return this.buffer.dtype;
  }

  /** Extent of axis `axis`; negative counts from the end. */
  dim(axis: number): number {
    const extent = this.shape.at(axis);
    if (extent === undefined) throw new ShapeError(`dim: no axis ${axis} in [${this.shape}]`);
    return extent;
  }

  /** Extents of all axes but the last, multiplied. */
  get rows(): number {
    return sizeOf(this.shape.slice(0, -1));
  }

  /** Values in row-major order, after every kernel that writes them. */
  read(): Promise<Float32Array | Float64Array | Int32Array> {
    return this.device.read(this.buffer);
  }

  /** The only value of a one-element tensor. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new ShapeError(`item: one element expected, got [${this.shape}]`);
    return (await this.read())[0] as number;
  }

  write(data: ArrayLike<number>): void {
    if (data.length !== this.size)
      throw new ShapeError(`write: [${this.shape}] holds ${this.size} values, got ${data.length}`);
    this.device.write(this.buffer, data);
  }

  /** Frees the buffer now; every view of it becomes invalid. */
  dispose(): void {
    released(this);
    this.device.free(this.buffer);
  }
}
