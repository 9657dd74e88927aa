/** @file What a device is: memory and named kernels. Ops know nothing else about hardware. */
import { QuasarError } from '@quasar/base';
import type { KernelName } from './kernels.ts';

/**
 * `float` is the device's working precision (float32 on native, float64 or float32 on reference); `int` is int32.
 * `bf16` and `f16` are storage alone: kernels that take them compute in `float` and round what they store.
 */
export type DType = 'float' | 'int' | 'bf16' | 'f16';

/** Stored in 16 bits. */
export const isHalf = (dtype: DType): dtype is 'bf16' | 'f16' => dtype === 'bf16' || dtype === 'f16';

/** Memory on a device. Only the device looks inside `handle`. */
export interface DeviceBuffer {
  readonly dtype: DType;
  /** Elements, not bytes. */
  readonly length: number;
  readonly handle: unknown;
}

/** Copies touch raw memory unchecked. @throws QuasarError tensor.bad_range */
export function checkRange(what: string, buffer: DeviceBuffer, start: number, count: number): void {
  if (Number.isInteger(start) && start >= 0 && count >= 0 && start + count <= buffer.length) return;
  const message = `${what}: ${count} elements from ${start} on, the buffer has ${buffer.length}`;
  throw new QuasarError('tensor.bad_range', message, { hint: 'a defect in the caller' });
}

/** One kernel with its operands. */
export interface Command {
  readonly kernel: KernelName;
  readonly buffers: readonly (DeviceBuffer | null)[];
  /** Of the next run; as many as before, others where `growth` says so. */
  numbers: readonly number[];
  /** What each number gains from run to run; null: they stay. */
  readonly growth: readonly number[] | null;
}

export interface MemoryUse {
  /** In buffers that are not freed. */
  usedBytes: number;
  /** Freed and kept for the next allocations. */
  spareBytes: number;
  /** The most that was in use at once since the device was opened. */
  peakBytes: number;
}

export interface Device {
  readonly name: string;
  /** Bytes of one float on this device. */
  readonly floatBytes: 4 | 8;
  readonly threads: number;
  /** Instruction set in use, for people: `avx512`, `plain`, `javascript`. */
  readonly isa: string;
  /** Uninitialised memory. @throws QuasarError tensor.out_of_memory */
  allocate(dtype: DType, length: number): DeviceBuffer;
  free(buffer: DeviceBuffer): void;
  /**
   * Rounds to float32, then to the storage type (nearest, ties to even). A Uint16Array is taken as the bits of a `bf16` or
   * `f16` buffer. @param start element at which `data` begins, default 0. @throws QuasarError tensor.bad_range
   */
  write(buffer: DeviceBuffer, data: ArrayLike<number>, start?: number): void;
  /**
   * Waits for every kernel that writes the buffer. Storage types come as floats.
   * @param start first element, default 0. @param count default: to the end. @throws QuasarError tensor.bad_range
   */
  read(buffer: DeviceBuffer, start?: number, count?: number): Promise<Float32Array | Float64Array | Int32Array>;
  /**
   * Enqueues one kernel. Numbers left out at the end are 0.
   * @param growth what each number gains with every run of a command list that records this call; absent: nothing
   */
  run(
    kernel: KernelName,
    buffers: readonly (DeviceBuffer | null)[],
    numbers: readonly number[],
    growth?: readonly number[],
  ): void;
  /**
   * All commands in one call, for `recordCommands`. The buffers of each pair in `exchanged`, equal in size, change places now and
   * after each run. Numbers of commands with `growth` are read at each call, which throws tensor.freed when a buffer was freed.
   */
  compile?(commands: readonly Command[], exchanged: readonly (readonly [DeviceBuffer, DeviceBuffer])[]): () => void;
  /**
   * Runs `body`, whose kernels may wait and then run many in a row, in their order, at the latest when it ends; reads and writes
   * see what they did. A kernel that streams through memory leaves nothing of the JavaScript in the caches, which then
   * takes many times as long: better before a hundred of them than between any two. A call inside of another adds nothing.
   */
  inBursts?<T>(body: () => T): T;
  memory?(): MemoryUse;
  /** Gives spare memory back to the system. */
  trim?(): void;
}

/** `Device.inBursts` where the device has it. */
export function inBursts<T>(device: Device, body: () => T): T {
  return device.inBursts ? device.inBursts(body) : body();
}
