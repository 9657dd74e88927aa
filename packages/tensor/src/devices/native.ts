/**
 * @file The native device: kernels in C behind Node-API, memory outside the JavaScript heap, one thread pool.
 * Kernels run at once on the calling thread and the pool; `run` returns when they are done.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { QuasarError } from '@quasar/base';
import type { Device, DeviceBuffer, DType } from '../device.ts';
import { KERNEL_NAMES, type KernelName, typeCode } from '../kernels.ts';

interface Addon {
  start(threads: number, isa: string, block: Float64Array): { isa: string; threads: number; kernels: string[] };
  run(kernel: number, pointers: number): void;
  alloc(bytes: number): number;
  free(pointer: number): void;
  write(pointer: number, data: Float32Array | Int32Array, type: number): void;
  read(pointer: number, data: Float32Array | Int32Array, type: number): void;
  peak(kind: number, x: number, y: number, count: number): number;
}

interface NativeBuffer extends DeviceBuffer {
  readonly handle: { pointer: number; bytes: number };
}

/** From both `src/devices` and `dist/devices` the addon lies two folders up. */
export const ADDON_PATH = fileURLToPath(new URL('../../build/quasar.node', import.meta.url));

/** `QUASAR_PROFILE=1`: milliseconds per kernel, printed at exit. */
const profile = process.env.QUASAR_PROFILE ? new Map<string, number>() : null;
if (profile) {
  process.on('exit', () => {
    const total = [...profile.values()].reduce((sum, ms) => sum + ms, 0);
    for (const [kernel, ms] of [...profile].sort((a, b) => b[1] - a[1])) {
      console.error(
        `${kernel.padEnd(24)} ${ms.toFixed(1).padStart(9)} ms ${((100 * ms) / total).toFixed(1).padStart(5)} %`,
      );
    }
  });
}

let addon: { api: Addon; block: Float64Array; isa: string; threads: number; numbers: Map<string, number> } | null =
  null;

function start(threads: number, isa: string): NonNullable<typeof addon> {
  const api = createRequire(import.meta.url)(ADDON_PATH) as Addon;
  const block = addon?.block ?? new Float64Array(64);
  const report = api.start(threads, isa, block);
  const numbers = new Map(report.kernels.map((name, i) => [name, i]));
  const missing = KERNEL_NAMES.filter((name) => !numbers.has(name));
  if (missing.length > 0) {
    throw new QuasarError(
      'tensor.stale_addon',
      `native device: the compiled addon lacks kernels ${missing.join(', ')}`,
      {
        hint: 'compile it again: node packages/tensor/scripts/build-kernels.js',
      },
    );
  }
  addon = { api, block, isa: report.isa, threads: report.threads, numbers };
  return addon;
}

/** What the machine can do at most with the threads and vectors of the native device. */
export interface Peak {
  /** Fused multiply-adds in registers, all threads, 10⁹ operations (two per multiply-add) per second. */
  gflops: number;
  /** Reading memory far larger than the caches, 10⁹ bytes per second. */
  readGBs: number;
  /** Copying such memory, 10⁹ bytes read and written per second. */
  copyGBs: number;
}

/** Measures for about half a second, the best of several rounds. @throws QuasarError tensor.out_of_memory */
export function measurePeak(): Peak {
  const device = nativeDevice();
  const { api } = addon as NonNullable<typeof addon>;
  const blocks = 256;
  const x = device.allocate('float', blocks * 2 ** 18);
  const pointer = (x as NativeBuffer).handle.pointer;
  const middle = pointer + (blocks / 2) * 2 ** 20;
  try {
    device.run('fill', [x], [x.length, 0]);
    const best = (kind: number, count: number, rounds: number) =>
      Math.max(...Array.from({ length: rounds }, () => api.peak(kind, pointer, middle, count))) / 1e9;
    return { gflops: best(0, 1024, 5), readGBs: best(1, blocks, 7), copyGBs: best(2, blocks / 2, 7) };
  } finally {
    device.free(x);
  }
}

export function nativeAvailable(): boolean {
  return existsSync(ADDON_PATH);
}

/**
 * @param options.threads default: one per core. The pool is shared by the process and never shrinks.
 * @param options.isa `auto`, `plain`, `avx2` or `avx512`; all give the same bits.
 */
export function nativeDevice(options: { threads?: number | undefined; isa?: string | undefined } = {}): Device {
  const threads = options.threads ?? Number(process.env.QUASAR_THREADS || availableParallelism());
  const native = start(threads, options.isa ?? 'auto');
  const { api, block, numbers } = native;
  // Freed memory by size, for reuse: a training step asks for the same sizes again, and fresh pages are slow.
  const spare = new Map<number, number[]>();

  /** Spare memory of other sizes goes back to the system before an allocation is given up. */
  function allocateAfterRelease(bytes: number): number {
    for (const pointers of spare.values()) for (const pointer of pointers) api.free(pointer);
    spare.clear();
    return api.alloc(bytes);
  }

  return {
    name: 'native',
    floatBytes: 4,
    threads: native.threads,
    isa: native.isa,

    allocate(dtype: DType, length: number): NativeBuffer {
      const bytes = roundedSize(Math.max(length, 1) * BYTES[dtype]);
      const pointer = spare.get(bytes)?.pop() ?? (api.alloc(bytes) || allocateAfterRelease(bytes));
      if (pointer === 0) {
        throw new QuasarError('tensor.out_of_memory', `native device: could not allocate ${bytes} bytes`, {
          hint: 'use a smaller batch, sequence or model',
        });
      }
      return { dtype, length, handle: { pointer, bytes } };
    },

    free(buffer: DeviceBuffer): void {
      const handle = (buffer as NativeBuffer).handle;
      if (handle.pointer === 0) return;
      const list = spare.get(handle.bytes);
      if (list) list.push(handle.pointer);
      else spare.set(handle.bytes, [handle.pointer]);
      handle.pointer = 0;
    },

    write(buffer: DeviceBuffer, data: ArrayLike<number>): void {
      const Kind = buffer.dtype === 'int' ? Int32Array : Float32Array;
      api.write(livePointer(buffer, 'write'), data instanceof Kind ? data : Kind.from(data), storageOf(buffer));
    },

    async read(buffer: DeviceBuffer): Promise<Float32Array | Int32Array> {
      const out = buffer.dtype === 'int' ? new Int32Array(buffer.length) : new Float32Array(buffer.length);
      api.read(livePointer(buffer, 'read'), out, storageOf(buffer));
      return out;
    },

    run(kernel: KernelName, buffers: readonly (DeviceBuffer | null)[], args: readonly number[]): void {
      const count = buffers.length;
      for (let i = 0; i < count; i++) {
        const buffer = buffers[i] as DeviceBuffer | null;
        block[i] = buffer ? livePointer(buffer, kernel, i) : 0;
      }
      for (let i = 0; i < args.length; i++) block[count + i] = args[i] as number;
      block.fill(0, count + args.length);
      if (!profile) {
        api.run(numbers.get(kernel) as number, count);
        return;
      }
      const startedAtMs = performance.now();
      api.run(numbers.get(kernel) as number, count);
      profile.set(kernel, (profile.get(kernel) ?? 0) + performance.now() - startedAtMs);
    },
  };
}

const BYTES: Record<DType, number> = { float: 4, int: 4, bf16: 2, f16: 2 };

/** Ints go as they are, like floats. */
function storageOf({ dtype }: DeviceBuffer): number {
  return dtype === 'int' ? 0 : typeCode(dtype);
}

/** @throws QuasarError tensor.freed */
function livePointer(buffer: DeviceBuffer, user: string, argument?: number): number {
  const { pointer } = (buffer as NativeBuffer).handle;
  if (pointer === 0) {
    const where = argument === undefined ? '' : ` (argument ${argument})`;
    throw new QuasarError('tensor.freed', `native device: ${user} was given a freed buffer${where}`);
  }
  return pointer;
}

/** Up to an eighth more than asked, so that near sizes share freed memory. */
function roundedSize(bytes: number): number {
  if (bytes <= 4096) return Math.ceil(bytes / 64) * 64;
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 3);
  return Math.ceil(bytes / step) * step;
}
