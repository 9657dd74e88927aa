/** @file The bytes of a tensor in a file, little endian, as float32 numbers and back; of buffers of integers as int32. */
import { QuasarError } from '@quasar/base';

/** Bytes of one number, by the dtypes that weights may have. */
export const DTYPE_BYTES: Readonly<Record<string, number>> = Object.assign(Object.create(null), {
  F32: 4,
  BF16: 2,
  F16: 2,
});

/** With those of buffers of integers, which few layers have. */
export const ALL_DTYPE_BYTES: Readonly<Record<string, number>> = Object.assign(Object.create(null), DTYPE_BYTES, {
  I64: 8,
});

/** How a tensor stands in files of ours. */
export type WrittenDtype = 'F32' | 'BF16' | 'I64';

/** @param bytes exactly the data of one tensor. @throws QuasarError checkpoint.dtype, checkpoint.size */
export function decodeTensor(bytes: Uint8Array, dtype: string): Float32Array {
  const width = DTYPE_BYTES[dtype];
  if (width === undefined)
    throw new QuasarError(
      'checkpoint.dtype',
      `decodeTensor: got dtype ${dtype}, expected one of ${Object.keys(DTYPE_BYTES).join(', ')}`,
    );
  if (bytes.length % width !== 0)
    throw new QuasarError('checkpoint.size', `decodeTensor: ${bytes.length} bytes are no whole number of ${dtype}`);
  // A copy: aligned, and independent of the larger buffer that `bytes` may be a window of.
  const { buffer } = new Uint8Array(bytes);
  if (dtype === 'F32') return new Float32Array(buffer);
  const halves = new Uint16Array(buffer);
  const out = new Float32Array(halves.length);
  if (dtype === 'BF16') {
    const bits = new Uint32Array(out.buffer);
    for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] as number) << 16;
  } else for (let i = 0; i < halves.length; i++) out[i] = halfToFloat(halves[i] as number);
  return out;
}

/** @param bytes of whole I64 numbers. @throws QuasarError checkpoint.integer_range where 32 bits do not hold one */
export function decodeIntegers(bytes: Uint8Array): Int32Array {
  return Int32Array.from(new BigInt64Array(new Uint8Array(bytes).buffer), (value) => {
    if (BigInt.asIntN(32, value) === value) return Number(value);
    throw new QuasarError('checkpoint.integer_range', `decodeIntegers: 32 bits do not hold ${value}`, {
      hint: 'use a checkpoint written for this config',
    });
  });
}

/** As I64. */
export function encodeIntegers(values: Int32Array): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
}

/** IEEE 754 binary16. */
function halfToFloat(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 0x1f;
  const fraction = h & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Rounds to bfloat16, ties to even; NaN stays NaN. */
export function toBf16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const b = bits[i] as number;
    out[i] = (b & 0x7fffffff) > 0x7f800000 ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
  return out;
}

/** The bytes of values in a file; for F32 a view of `values` where they are float32. */
export function encodeTensor(values: Float32Array | Float64Array | Int32Array, dtype: WrittenDtype): Uint8Array {
  if (dtype === 'I64') return encodeIntegers(Int32Array.from(values));
  const floats = values instanceof Float32Array ? values : Float32Array.from(values);
  const data = dtype === 'BF16' ? toBf16(floats) : floats;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
