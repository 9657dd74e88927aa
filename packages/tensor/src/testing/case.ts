/** @file One call of a kernel as data, so that any device, in any process, can run it and results can be compared. */
import { Rng } from '@quasar/base';
import type { Device, DeviceBuffer, DType } from '../device.ts';
import { referenceDevice } from '../devices/reference/device.ts';
import type { KernelName } from '../kernels.ts';

/**
 * A buffer of the call: an input (typed array, or `input` in a storage type), an output (its length and kind), or memory
 * that the kernel adds to. `scratch` is written and its contents mean nothing.
 */
export type Argument =
  | null
  | Float64Array
  | Int32Array
  | { input: Float64Array; type: DType }
  | { output: number; int?: boolean; type?: DType; scratch?: boolean }
  | { inPlace: Float64Array; type?: DType };

export interface Case {
  name: string;
  kernel: KernelName;
  buffers: Argument[];
  numbers: number[];
  /** Relative RMS error allowed for float32 where the default does not fit, with the reason beside it. */
  tolerance?: number;
}

export type Contents = Float64Array | Float32Array | Int32Array | null;

/** Runs a case and gives what each buffer holds afterwards (null: not passed). */
export async function runCase(device: Device, { kernel, buffers, numbers }: Case): Promise<Contents[]> {
  const passed = buffers.map((argument): DeviceBuffer | null => {
    if (argument === null) return null;
    if ('output' in argument)
      return device.allocate(argument.type ?? (argument.int ? 'int' : 'float'), argument.output);
    const data = 'inPlace' in argument ? argument.inPlace : 'input' in argument ? argument.input : argument;
    const type = 'type' in argument ? argument.type : undefined;
    const buffer = device.allocate(type ?? (data instanceof Int32Array ? 'int' : 'float'), data.length);
    device.write(buffer, data);
    return buffer;
  });
  device.run(kernel, passed, numbers);
  const contents = await Promise.all(passed.map((buffer) => buffer && device.read(buffer)));
  for (const buffer of passed) if (buffer) device.free(buffer);
  return contents;
}

const oracle = referenceDevice({ precision: 'f64' });

/** The outputs of a call on the oracle, rounded to float32: inputs for a backward kernel. */
export async function outputs(
  kernel: KernelName,
  buffers: Argument[],
  numbers: number[],
): Promise<(Float64Array | Int32Array)[]> {
  const contents = await runCase(oracle, { name: kernel, kernel, buffers, numbers });
  return contents
    .filter((_, i) => {
      const argument = buffers[i];
      return argument !== null && ('output' in argument || 'inPlace' in argument);
    })
    .map((x) => (x instanceof Int32Array ? x : Float64Array.from(x as Float64Array, Math.fround)));
}

/** Random inputs that float32 holds exactly, so that every device starts from the same numbers. */
export class Draw {
  readonly #rng: Rng;

  constructor(seed: string) {
    this.#rng = new Rng(seed);
  }

  normal(count: number, scale = 1): Float64Array {
    return Float64Array.from({ length: count }, () => Math.fround(scale * this.#rng.normal()));
  }

  uniform(count: number, low: number, high: number): Float64Array {
    return Float64Array.from({ length: count }, () => Math.fround(low + (high - low) * this.#rng.next()));
  }

  /** Uniform in [low, high]. */
  ints(count: number, low: number, high: number): Int32Array {
    return Int32Array.from({ length: count }, () => this.#rng.int(low, high));
  }

  /** Rows of unit length. */
  units(rows: number, width: number): Float64Array {
    const x = this.normal(rows * width);
    for (let i = 0; i < rows; i++) {
      const row = x.subarray(i * width, (i + 1) * width);
      const length = Math.hypot(...row);
      row.forEach((value, j) => {
        row[j] = Math.fround(value / length);
      });
    }
    return x;
  }

  /** Positions [B,T] that restart at random; the first token of each row continues an older segment. */
  positions(B: number, T: number): Int32Array {
    const positions = new Int32Array(B * T);
    for (let b = 0; b < B; b++) {
      let at = this.#rng.int(0, 2);
      for (let t = 0; t < T; t++) {
        if (t > 0 && this.#rng.next() < 0.08) at = 0;
        positions[b * T + t] = at++;
      }
    }
    return positions;
  }
}

export const zeros = (count: number): Float64Array => new Float64Array(count);
