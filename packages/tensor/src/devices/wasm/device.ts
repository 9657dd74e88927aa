/**
 * @file The wasm device: the kernels in WebAssembly, one shared memory, worker threads. Nothing here needs Node: what
 * differs between Node and a browser comes in through `Host`. Kernels run at once on the calling thread and the workers.
 */
import { QuasarError } from '@quasar/base';
import { checkCall } from '../../check-call.ts';
import { checkRange, type Device, type DeviceBuffer, type DType, isHalf } from '../../device.ts';
import { KERNEL_NAMES, type KernelName, typeCode } from '../../kernels.ts';
import { Heap } from './heap.ts';

/** What the module exports (wasm/module.c, wasm/pool.c). Addresses are bytes from the start of memory. */
interface Exports {
  __heap_base: WebAssembly.Global;
  __tls_size: WebAssembly.Global;
  argument_block(): number;
  kernel_names(): number;
  kernel_names_length(): number;
  run(kernel: number, pointers: number): void;
  fuses(): number;
  out_of_memory(): number;
  start(threads: number, mayBlock: number): void;
  stop(): void;
  workers(): number;
}

/** What a worker needs to take part (wasm/worker.js). `stack` is the highest address of its own stack. */
export interface WorkerSetup {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  stack: number;
  tls: number;
}

export interface Host {
  /** Starts a thread that runs wasm/worker.js and does not keep the program alive. */
  startWorker(setup: WorkerSetup): void;
  /** Whether the calling thread may sleep; the main thread of a browser may not. */
  mayBlock: boolean;
}

export interface WasmDevice extends Device {
  /** Workers that take part by now. They start on their own; until then the other threads do all the work. */
  readonly workers: number;
  /** Ends the workers. The device stays usable on the calling thread alone. */
  close(): void;
}

interface WasmBuffer extends DeviceBuffer {
  readonly handle: { address: number; bytes: number };
}

const BYTES: Record<DType, number> = { float: 4, int: 4, bf16: 2, f16: 2 };
const STACK_BYTES = 2 ** 20;
/** Of the 4 GiB that addresses reach. The module's own data and stack fit in the initial pages. */
const PAGES = { initial: 64, maximum: 65536 };
/** Buffers and numbers of one call: MAX_BLOCK in wasm/module.c. */
const BLOCK_LENGTH = 256;

/** @param options.pages most memory, in pages of 64 KiB. */
export function createWasmDevice(
  module: WebAssembly.Module,
  host: Host,
  options: { threads: number; pages?: number | undefined },
): WasmDevice {
  const threads = Math.max(1, Math.min(options.threads, 64));
  const memory = new WebAssembly.Memory({ ...PAGES, maximum: options.pages ?? PAGES.maximum, shared: true });
  const api = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
  const heap = new Heap(memory, api.__heap_base.value);
  const block = new Float64Array(memory.buffer, api.argument_block(), BLOCK_LENGTH);
  const names = new Uint8Array(memory.buffer).slice(api.kernel_names(), api.kernel_names() + api.kernel_names_length());
  const numbers = numberKernels(new TextDecoder().decode(names));
  let failure: QuasarError | null = null;
  let floats = new Float32Array(memory.buffer);
  let ints = new Int32Array(memory.buffer);

  api.start(threads, host.mayBlock ? 1 : 0);
  for (let i = 1; i < threads; i++) {
    const [stack, tls] = [heap.allocate(STACK_BYTES), heap.allocate(api.__tls_size.value)];
    if (stack === 0 || tls === 0) throw outOfMemory(`no room for the stacks of ${threads} threads`);
    host.startWorker({ module, memory, stack: stack + STACK_BYTES, tls });
  }

  /** The memory may have grown, here or in a thread. */
  function refresh(): void {
    if (floats.byteLength === memory.buffer.byteLength) return;
    floats = new Float32Array(memory.buffer);
    ints = new Int32Array(memory.buffer);
  }

  function outOfMemory(what: string): QuasarError {
    return new QuasarError('tensor.out_of_memory', `wasm device: ${what}`, {
      hint: 'use a smaller batch, sequence or model; WebAssembly reaches 4 GiB, the native device all of the memory',
    });
  }

  /** A trap leaves the threads anywhere inside a loop: the device is given up. */
  function fail(error: unknown): QuasarError {
    failure = api.out_of_memory()
      ? outOfMemory('could not allocate working memory of a kernel; open the device again')
      : new QuasarError('tensor.device_failed', 'wasm device: a kernel ended with a trap', { cause: error });
    return failure;
  }

  function allocate(dtype: DType, length: number): WasmBuffer {
    const bytes = length * BYTES[dtype];
    const address = heap.allocate(bytes);
    if (address === 0) throw outOfMemory(`could not allocate ${bytes} bytes`);
    return { dtype, length, handle: { address, bytes } };
  }

  function free(buffer: DeviceBuffer): void {
    const handle = (buffer as WasmBuffer).handle;
    if (handle.address === 0) return;
    heap.free(handle.address, handle.bytes);
    handle.address = 0;
  }

  function write(buffer: DeviceBuffer, data: ArrayLike<number>, start = 0): void {
    const part = partOf(buffer, start, data.length, 'write');
    const { address } = part.handle;
    if (!isHalf(buffer.dtype)) {
      refresh();
      (buffer.dtype === 'int' ? ints : floats).set(data, address / 4);
    } else if (data instanceof Uint16Array) new Uint16Array(memory.buffer, address, data.length).set(data);
    else {
      const wide = allocate('float', data.length);
      write(wide, data);
      run('cast', [part, wide], [data.length, typeCode(buffer.dtype), typeCode('float')]);
      free(wide);
    }
  }

  async function read(
    buffer: DeviceBuffer,
    start = 0,
    count = buffer.length - start,
  ): Promise<Float32Array | Int32Array> {
    const part = partOf(buffer, start, count, 'read');
    if (isHalf(buffer.dtype)) {
      const wide = allocate('float', count);
      run('cast', [wide, part], [count, typeCode('float'), typeCode(buffer.dtype)]);
      const out = await read(wide);
      free(wide);
      return out;
    }
    refresh();
    const from = part.handle.address / 4;
    return (buffer.dtype === 'int' ? ints : floats).slice(from, from + count);
  }

  /** A window of a live buffer. */
  function partOf(buffer: DeviceBuffer, start: number, count: number, user: string): WasmBuffer {
    checkRange(user, buffer, start, count);
    const { dtype } = buffer;
    const handle = { address: liveAddress(buffer, user) + start * BYTES[dtype], bytes: count * BYTES[dtype] };
    return { dtype, length: count, handle };
  }

  function run(kernel: KernelName, buffers: readonly (DeviceBuffer | null)[], args: readonly number[]): void {
    if (failure) throw failure;
    checkCall(kernel, buffers, args);
    const count = buffers.length;
    for (let i = 0; i < count; i++) {
      const buffer = buffers[i] as DeviceBuffer | null;
      block[i] = buffer ? liveAddress(buffer, kernel, i) : 0;
    }
    for (let i = 0; i < args.length; i++) block[count + i] = args[i] as number;
    block.fill(0, count + args.length);
    try {
      api.run(numbers.get(kernel) as number, count);
    } catch (error) {
      throw fail(error);
    }
  }

  return {
    name: 'wasm',
    floatBytes: 4,
    threads,
    isa: api.fuses() ? 'simd128+fma' : 'simd128',
    get workers() {
      return api.workers();
    },
    allocate,
    free,
    write,
    read,
    run,
    memory: () => ({ ...heap.use }),
    close() {
      api.stop();
      api.start(1, 0);
    },
  };
}

/** @throws QuasarError tensor.stale_wasm */
function numberKernels(names: string): Map<string, number> {
  const numbers = new Map(
    names
      .trimEnd()
      .split(' ')
      .map((name, i) => [name, i]),
  );
  const missing = KERNEL_NAMES.filter((name) => !numbers.has(name));
  if (missing.length > 0) {
    throw new QuasarError('tensor.stale_wasm', `wasm device: the module lacks kernels ${missing.join(', ')}`, {
      hint: 'compile it again: node packages/tensor/scripts/build-wasm.js',
    });
  }
  return numbers;
}

/** @throws QuasarError tensor.freed */
function liveAddress(buffer: DeviceBuffer, user: string, argument?: number): number {
  const { address } = (buffer as WasmBuffer).handle;
  if (address === 0) {
    const where = argument === undefined ? '' : ` (argument ${argument})`;
    throw new QuasarError('tensor.freed', `wasm device: ${user} was given a freed buffer${where}`);
  }
  return address;
}
