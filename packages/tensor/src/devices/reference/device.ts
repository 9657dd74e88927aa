/**
 * @file The reference device: what each kernel means, in plain loops. Every other device is tested against it.
 * Fresh memory holds NaN, so that reading what nothing wrote shows up.
 */
import { QuasarError } from '@quasar/base';
import { checkCall } from '../../check-call.ts';
import { checkRange, type Device, type DeviceBuffer, type DType } from '../../device.ts';
import { type KernelName, typeCode } from '../../kernels.ts';
import * as attention from './attention.ts';
import * as elementwise from './elementwise.ts';
import * as gates from './gates.ts';
import * as gemm from './gemm.ts';
import * as head from './head.ts';
import * as headNorm from './head-norm.ts';
import * as layout from './layout.ts';
import * as loss from './loss.ts';
import * as memory from './memory.ts';
import * as moe from './moe.ts';
import * as ngrams from './ngrams.ts';
import * as norm from './norm.ts';
import * as optim from './optim.ts';
import * as recurrence from './recurrence.ts';
import * as rope from './rope.ts';
import * as sequence from './sequence.ts';
import * as slots from './slots.ts';
import { cast, fromBits, roundTo } from './storage.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

const kernels: Record<KernelName, ReferenceKernel> = {
  ...gemm,
  cast,
  ...elementwise,
  ...layout,
  ...norm,
  ...headNorm,
  ...sequence,
  ...gates,
  ...recurrence,
  ...rope,
  ...attention,
  ...slots,
  ...memory,
  ...moe,
  ...loss,
  ...ngrams,
  ...head,
  ...optim,
};

interface ReferenceBuffer extends DeviceBuffer {
  /** `data` is null once freed. */
  readonly handle: { data: Numbers | null };
}

/** @param options.precision what a float is: `f64` (the oracle) or `f32` (rounds where memory rounds, sums in f64). */
export function referenceDevice(options: { precision: 'f64' | 'f32' }): Device {
  const Float = options.precision === 'f64' ? Float64Array : Float32Array;

  function live(buffer: DeviceBuffer, what: string): Numbers {
    const { data } = (buffer as ReferenceBuffer).handle;
    if (!data) throw new QuasarError('tensor.freed', `reference device: ${what} was given a freed buffer`);
    return data;
  }

  return {
    name: 'reference',
    floatBytes: options.precision === 'f64' ? 8 : 4,
    threads: 1,
    isa: 'javascript',

    allocate(dtype: DType, length: number): ReferenceBuffer {
      try {
        return {
          dtype,
          length,
          handle: { data: dtype === 'int' ? new Int32Array(length) : new Float(length).fill(NaN) },
        };
      } catch (cause) {
        throw new QuasarError('tensor.out_of_memory', `reference device: could not allocate ${length} numbers`, {
          hint: 'use a smaller batch, sequence or model',
          cause,
        });
      }
    },

    free(buffer: DeviceBuffer): void {
      (buffer as ReferenceBuffer).handle.data = null;
    },

    write(buffer: DeviceBuffer, data: ArrayLike<number>, start = 0): void {
      checkRange('write', buffer, start, data.length);
      const to = live(buffer, 'write');
      const type = buffer.dtype === 'int' ? 0 : typeCode(buffer.dtype);
      if (type === 0) to.set(data, start);
      else if (data instanceof Uint16Array) {
        for (let i = 0; i < data.length; i++) to[start + i] = fromBits(type, data[i] as number);
      } else for (let i = 0; i < data.length; i++) to[start + i] = roundTo(type, data[i] as number);
    },

    async read(buffer: DeviceBuffer, start = 0, count = buffer.length - start): Promise<Numbers> {
      checkRange('read', buffer, start, count);
      return live(buffer, 'read').slice(start, start + count);
    },

    run(kernel: KernelName, buffers: readonly (DeviceBuffer | null)[], numbers: readonly number[]): void {
      checkCall(kernel, buffers, numbers);
      kernels[kernel](
        buffers.map((buffer, i) => buffer && live(buffer, `${kernel} (argument ${i})`)),
        numbers,
      );
    },
  };
}
