/**
 * @file Command lists: the kernels of a computation of fixed shapes, recorded once with their buffers and run again without
 * the work in JavaScript that made them; for decoding, where that work costs more than the kernels of a small model.
 */
import { QuasarError } from '@quasar/base';
import { checkCall } from './check-call.ts';
import type { Command, Device, DeviceBuffer } from './device.ts';
import { type KernelName, typeCode } from './kernels.ts';
import { scope } from './scope.ts';
import { ShapeError, type Tensor } from './tensor.ts';

/** What a recorded body computes, and what goes on from run to run. */
export interface Recorded<T> {
  value: T;
  /**
   * Pairs [made by the body, made before it], as a state after the step and before it. After each run, and after the
   * recording, the second holds what the first was given, and the first holds nothing of use.
   */
  carried?: readonly (readonly [Tensor, Tensor])[];
}

export interface CommandList<T> {
  /** What the body returned; its tensors hold the results of the latest run. The list owns them. */
  readonly value: T;
  /** Kernels per run. */
  readonly length: number;
  /**
   * The recorded kernels once more, with what the buffers hold now, and numbers that have grown by one step.
   * @throws QuasarError tensor.freed when a tensor that the body used was freed, or the list disposed;
   * tensor.bad_kernel_call when a number has grown out of its buffers, and nothing was run
   */
  run(): void;
  /** Frees every tensor that the body made. */
  dispose(): void;
}

/**
 * Runs `body` and records the kernels it runs on `device`. What it computes must follow from tensors alone: numbers that
 * it writes itself (`Tensor.from`) are written once, now, and so are those that go to a kernel, like the number of
 * chunks that `Positions` cut: where segments differ from run to run, record anew. Only numbers with a `growth` change, like
 * the length of a cache with room: by the same step with every run. It may not free tensors made before it, nor write to a
 * tensor that it has computed with. Replay gives the bits that running the body again would give.
 */
export function recordCommands<T>(device: Device, body: () => Recorded<T>): CommandList<T> {
  const commands: Command[] = [];
  const made = new Set<DeviceBuffer>();
  const used = new Set<DeviceBuffer>();
  let isDisposed = false;
  const { allocate, free, write, run } = device;
  const freeAll = () => {
    for (const buffer of made) free.call(device, buffer);
    made.clear();
  };
  Object.assign(device, {
    allocate(...args: Parameters<Device['allocate']>): DeviceBuffer {
      const buffer = allocate.apply(device, args);
      made.add(buffer);
      return buffer;
    },
    // A temporary keeps its memory as long as the list: replay writes to it again.
    free(buffer: DeviceBuffer): void {
      if (!made.has(buffer)) throw new Error('recordCommands: the body freed a tensor that it did not make');
    },
    write(buffer: DeviceBuffer, data: ArrayLike<number>, start?: number): void {
      if (used.has(buffer)) throw new Error('recordCommands: the body wrote to a tensor that it had computed with');
      write.call(device, buffer, data, start);
    },
    run(
      kernel: KernelName,
      buffers: readonly (DeviceBuffer | null)[],
      numbers: readonly number[],
      growth?: readonly number[],
    ): void {
      run.call(device, kernel, buffers, numbers);
      commands.push({ kernel, buffers: [...buffers], numbers: [...numbers], growth: growth ? [...growth] : null });
      for (const buffer of buffers) if (buffer) used.add(buffer);
    },
  });
  let recorded: Recorded<T> | undefined;
  try {
    // The scope gives nothing to the scopes around it: everything belongs to the list.
    scope(() => {
      recorded = body();
    });
    checkCarried(recorded?.carried ?? [], made);
  } catch (error) {
    freeAll();
    throw error;
  } finally {
    Object.assign(device, { allocate, free, write, run });
  }
  const { value, carried = [] } = recorded as Recorded<T>;
  const again = compile(device, commands, carried);
  const growing = commands.filter(({ growth }) => growth !== null);
  return {
    value,
    length: commands.length,
    run() {
      if (isDisposed) throw new QuasarError('tensor.freed', 'a command list ran after it was disposed');
      grow(growing);
      again();
    },
    dispose() {
      isDisposed = true;
      freeAll();
    },
  };
}

function checkCarried(carried: readonly (readonly [Tensor, Tensor])[], made: ReadonlySet<DeviceBuffer>): void {
  const seen = new Set<DeviceBuffer>();
  for (const [from, to] of carried) {
    if (!made.has(from.buffer) || made.has(to.buffer)) {
      throw new Error('recordCommands: a carried pair is a tensor that the body made and one that it did not');
    }
    if (from.size !== to.size || from.dtype !== to.dtype) {
      throw new ShapeError(`recordCommands: carried from [${from.shape}] ${from.dtype} to [${to.shape}] ${to.dtype}`);
    }
    if (seen.has(from.buffer) || seen.has(to.buffer)) throw new Error('recordCommands: a tensor is carried twice');
    seen.add(from.buffer).add(to.buffer);
  }
}

/** All numbers one step on, or none. @throws QuasarError tensor.bad_kernel_call */
function grow(commands: readonly Command[]): void {
  const grown = commands.map(({ kernel, buffers, numbers, growth }) => {
    const next = numbers.map((number, i) => number + (growth?.[i] ?? 0));
    checkCall(kernel, buffers, next);
    return next;
  });
  commands.forEach((command, i) => {
    command.numbers = grown[i] as number[];
  });
}

/** Devices that cannot do better run the commands one by one and copy what is carried. */
function compile(device: Device, commands: readonly Command[], carried: readonly (readonly [Tensor, Tensor])[]) {
  const pairs = carried.map(([from, to]) => [from.buffer, to.buffer] as const);
  if (device.compile) return device.compile(commands, pairs);
  const carry = () => {
    for (const [from, to] of pairs) {
      const type = from.dtype === 'int' ? 0 : typeCode(from.dtype);
      device.run('cast', [to, from], [from.length, type, type]);
    }
  };
  carry();
  return () => {
    for (const { kernel, buffers, numbers } of commands) device.run(kernel, buffers, numbers);
    carry();
  };
}
