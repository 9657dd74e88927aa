/**
 * @file The native device: kernels in C behind Node-API, memory outside the JavaScript heap, one thread pool.
 * Kernels run on the calling thread and the pool: at once, so that `run` returns when they are done, but in `inBursts`.
 */
import { availableParallelism } from 'node:os';
import { QuasarError } from '@quasar/base';
import { checkCall } from '../check-call.ts';
import { ELEMENT_BYTES } from '../costs.ts';
import { type Command, checkRange, type Device, type DeviceBuffer, type DType, isHalf } from '../device.ts';
import { type KernelName, typeCode } from '../kernels.ts';
import { Profile } from '../profile.ts';
import { startAddon } from './native/addon.ts';
import { Memory } from './native/memory.ts';

export { ADDON_PATH, nativeAvailable } from './native/addon.ts';

/** Where a buffer lies; pointer 0: freed. */
interface Handle {
  pointer: number;
  bytes: number;
}

interface NativeBuffer extends DeviceBuffer {
  readonly handle: Handle;
}

/** `QUASAR_PROFILE=1`: time, operations and bytes per kernel, printed at exit. */
let profile: Profile | null = null;

function profiled(device: Device): Device {
  if (!profile) {
    const shared = new Profile();
    profile = shared;
    process.on('exit', () => console.error(shared.table(measurePeak())));
  }
  return profile.watch(device);
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
export function measurePeak(options: NativeOptions = {}): Peak {
  const { api } = start(options);
  const memory = new Memory(api);
  const blocks = 256;
  const x = memory.allocate(blocks * 2 ** 20);
  const middle = x + (blocks / 2) * 2 ** 20;
  try {
    // Pages that nothing wrote are all the same page of zeros.
    const zeros = new Float32Array(2 ** 18);
    for (let i = 0; i < blocks; i++) api.write(x + i * 2 ** 20, zeros, 0);
    const best = (kind: 1 | 2, count: number, rounds: number) =>
      Math.max(...Array.from({ length: rounds }, () => api.peak(kind, x, middle, count))) / 1e9;
    return { gflops: measureGflops(options), readGBs: best(1, blocks, 7), copyGBs: best(2, blocks / 2, 7) };
  } finally {
    memory.free(x, blocks * 2 ** 20);
    memory.trim();
  }
}

/** `Peak.gflops` alone, in some hundredths of a second and without memory. */
export function measureGflops(options: NativeOptions = {}): number {
  const { api } = start(options);
  return Math.max(...Array.from({ length: 5 }, () => api.peak(0, 0, 0, 1024))) / 1e9;
}

/** Numbers of the commands that wait at most: some hundred commands. */
const BURST = 2 ** 13;

interface NativeOptions {
  /** Default: one per core. The pool is shared by the process and never shrinks. */
  threads?: number | undefined;
  /** `auto`, `plain`, `avx2` or `avx512`; all give the same bits. */
  isa?: string | undefined;
}

function start(options: NativeOptions): ReturnType<typeof startAddon> {
  const threads = options.threads ?? Number(process.env.QUASAR_THREADS || availableParallelism());
  return startAddon(threads, options.isa ?? 'auto');
}

export function nativeDevice(options: NativeOptions = {}): Device {
  const { api, block, numbers, isa, threads } = start(options);
  const burst = new Float64Array(BURST);
  let isBurst = false;
  /** Numbers of commands in `burst`. */
  let waiting = 0;
  const flush = () => {
    if (waiting === 0) return;
    const commands = burst.subarray(0, waiting);
    waiting = 0;
    api.replay(commands);
  };
  const memory = new Memory({
    ...api,
    free(pointer, bytes) {
      flush();
      api.free(pointer, bytes);
    },
  });

  const device: Device = {
    name: 'native',
    floatBytes: 4,
    threads,
    isa,

    allocate(dtype: DType, length: number): NativeBuffer {
      const bytes = Memory.blockSize(length * ELEMENT_BYTES[dtype]);
      return { dtype, length, handle: { pointer: memory.allocate(bytes), bytes } };
    },

    free(buffer: DeviceBuffer): void {
      const { handle } = buffer as NativeBuffer;
      if (handle.pointer === 0) return;
      memory.free(handle.pointer, handle.bytes);
      handle.pointer = 0;
    },

    write(buffer: DeviceBuffer, data: ArrayLike<number>, start = 0): void {
      checkRange('write', buffer, start, data.length);
      flush();
      const pointer = livePointer(buffer, 'write') + start * ELEMENT_BYTES[buffer.dtype];
      const Kind = buffer.dtype === 'int' ? Int32Array : Float32Array;
      const isReady = data instanceof Kind || (data instanceof Uint16Array && isHalf(buffer.dtype));
      api.write(pointer, isReady ? data : Kind.from(data), storageOf(buffer));
    },

    async read(buffer: DeviceBuffer, start = 0, count = buffer.length - start): Promise<Float32Array | Int32Array> {
      checkRange('read', buffer, start, count);
      flush();
      const out = buffer.dtype === 'int' ? new Int32Array(count) : new Float32Array(count);
      api.read(livePointer(buffer, 'read') + start * ELEMENT_BYTES[buffer.dtype], out, storageOf(buffer));
      return out;
    },

    run(kernel: KernelName, buffers: readonly (DeviceBuffer | null)[], args: readonly number[]): void {
      checkCall(kernel, buffers, args);
      const to = isBurst ? burst : block;
      const count = buffers.length;
      const at = waiting + 3;
      for (let i = 0; i < count; i++) {
        const buffer = buffers[i] as DeviceBuffer | null;
        to[at + i] = buffer ? livePointer(buffer, kernel, i) : 0;
      }
      for (let i = 0; i < args.length; i++) to[at + count + i] = args[i] as number;
      to[at - 3] = numbers.get(kernel) as number;
      to[at - 2] = count;
      to[at - 1] = args.length;
      if (!isBurst) {
        api.run();
        return;
      }
      waiting = at + count + args.length;
      if (waiting + block.length > burst.length) flush();
    },

    inBursts<T>(body: () => T): T {
      if (isBurst) return body();
      isBurst = true;
      try {
        return body();
      } finally {
        isBurst = false;
        flush();
      }
    },

    compile(commands: readonly Command[], exchanged: readonly (readonly [DeviceBuffer, DeviceBuffer])[]): () => void {
      const pairs = exchanged as readonly (readonly [NativeBuffer, NativeBuffer])[];
      const exchange = () => {
        for (const [a, b] of pairs) {
          const { pointer } = a.handle;
          a.handle.pointer = b.handle.pointer;
          b.handle.pointer = pointer;
        }
      };
      const growing = growingNumbers(commands);
      const used = commands.flatMap(({ buffers }) => buffers.filter((b) => b !== null)) as NativeBuffer[];
      const handles = [...new Set(used.map(({ handle }) => handle))];
      // Two programs, because after each run the exchanged buffers have changed places.
      const program = () => ({
        code: encode(commands, numbers),
        pointers: handles.map(({ pointer }) => pointer),
      });
      const before = program();
      exchange();
      const programs = [before, program()] as const;
      let turn: 0 | 1 = 1;
      return () => {
        const { code, pointers } = programs[turn];
        for (let i = 0; i < handles.length; i++) {
          if (handles[i]?.pointer === pointers[i]) continue;
          throw new QuasarError('tensor.freed', 'native device: a buffer that a command list uses was freed');
        }
        flush();
        for (const { command, at } of growing) code.set(command.numbers, at);
        api.replay(code);
        exchange();
        turn = turn === 0 ? 1 : 0;
      };
    },

    memory: () => memory.use,
    trim: () => memory.trim(),
  };
  return process.env.QUASAR_PROFILE ? profiled(device) : device;
}

/** Commands whose numbers change, and where these lie in the code of all. */
function growingNumbers(commands: readonly Command[]): { command: Command; at: number }[] {
  let end = 0;
  const places = commands.map((command) => {
    end += 3 + command.buffers.length + command.numbers.length;
    return { command, at: end - command.numbers.length };
  });
  return places.filter(({ command }) => command.growth !== null);
}

/** Commands as the addon reads them: see `Addon.run`. */
function encode(commands: readonly Command[], kernels: ReadonlyMap<string, number>): Float64Array {
  return Float64Array.from(
    commands.flatMap(({ kernel, buffers, numbers }) => [
      kernels.get(kernel) as number,
      buffers.length,
      numbers.length,
      ...buffers.map((buffer, i) => (buffer ? livePointer(buffer, kernel, i) : 0)),
      ...numbers,
    ]),
  );
}

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
