/** @file IEEE 754 binary16, for log-probabilities in files. */

const bits32 = new Uint32Array(1);
const float32 = new Float32Array(bits32.buffer);

/** Rounds to the nearest half, ties to even; beyond 65504 to infinity. */
export function toHalf(value: number): number {
  float32[0] = value;
  const bits = bits32[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  const fraction = bits & 0x7fffff;
  if (exponent >= 31) return sign | 0x7c00 | (exponent === 143 && fraction !== 0 ? 0x200 : 0);
  if (exponent >= 1) return sign | roundShift((exponent << 23) | fraction, 13);
  return exponent < -10 ? sign : sign | roundShift(fraction | 0x800000, 14 - exponent);
}

/** `value` / 2^shift, to nearest, ties to even. A carry out of the fraction goes into the exponent, as it should. */
function roundShift(value: number, shift: number): number {
  const rest = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const down = value >>> shift;
  return down + Number(rest > half || (rest === half && (down & 1) === 1));
}

/** Value by bits: 256 KiB. */
const VALUES = Float32Array.from({ length: 2 ** 16 }, (_, half) => {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
});

export function fromHalf(half: number): number {
  return VALUES[half]!;
}
