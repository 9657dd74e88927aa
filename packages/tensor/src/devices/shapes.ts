/** @file A device without memory: ops work out shapes and check their calls on it, and nothing is computed. */
import { QuasarError } from '@quasar/base';
import { checkCall } from '../check-call.ts';
import type { Device } from '../device.ts';

/**
 * What a program would allocate, at no cost: a model of any size runs on it. Floats count as float32.
 * `read` throws tensor.no_values.
 */
export function shapeDevice(): Device {
  return {
    name: 'shapes',
    floatBytes: 4,
    threads: 1,
    isa: 'none',
    allocate: (dtype, length) => ({ dtype, length, handle: null }),
    free() {},
    write() {},
    async read() {
      throw new QuasarError('tensor.no_values', 'the shape device computes nothing', {
        hint: 'a defect in the caller',
      });
    },
    run: checkCall,
  };
}
