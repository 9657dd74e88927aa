/** @file Storage types: rounding to them, and the kernel that converts. Buffers hold rounded values as plain floats. */
import type { ReferenceKernel } from './types.ts';

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The float32 nearest to x, then the nearest number of the storage type (its `typeCode`), ties to even. */
export function roundTo(type: number, x: number): number {
  if (type === 0 || !Number.isFinite(x) || x === 0) return x;
  const rounded = Math.fround(x);
  if (type === 1) {
    float[0] = rounded;
    bits[0] = ((bits[0] as number) + 0x7fff + (((bits[0] as number) >>> 16) & 1)) & 0xffff0000;
    return float[0] as number;
  }
  // binary16: ten bits below the leading one, none below 2^-24; 65520 is the middle between the largest and infinity.
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(rounded))), -14);
  const unit = 2 ** (exponent - 10);
  const value = Math.sign(rounded) * roundHalfEven(Math.abs(rounded) / unit) * unit;
  return Math.abs(value) >= 65536 ? value * Number.POSITIVE_INFINITY : value;
}

/** The number whose bits in the storage type (1: bfloat16, 2: binary16) are `h`. */
export function fromBits(type: number, h: number): number {
  if (type === 1) {
    bits[0] = h << 16;
    return float[0] as number;
  }
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 0x1f;
  const fraction = h & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/** out = in, rounded to the type of out. */
export const cast: ReferenceKernel = (p, n) => {
  const [out, x] = p;
  const [count, typeOut, typeIn] = n;
  if (!out || !x) return;
  for (let i = 0; i < count; i++) out[i] = typeOut === typeIn ? x[i] : roundTo(typeOut, x[i]);
};
