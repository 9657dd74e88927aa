/**
 * @file Signed fixed point with 32 fraction bits (I32F32 of the subtensor runtime), held in doubles.
 *
 * A number x is the integer v = x * 2^32 in a double, exact while |v| < 2^53, that is |x| < 2^21. Everything an epoch forms
 * are shares of wholes and sums of at most n of them, far inside; so the runtime's saturation at 2^31 cannot happen here.
 * Sums are plain `+`, exact and therefore the same in any order. Products and quotients drop what is below 2^-32.
 */

export type Fixed = number;

export const ONE: Fixed = 2 ** 32;
export const U16_MAX = 65535;

/**
 * floor(a * b / 2^32), exact for integers 0 <= a <= 2^32 and |b| <= 2^36.
 *
 * With a = 2^16 h + l: a b / 2^32 = (h b + l b / 2^16) / 2^16, and h b is an integer, so flooring the inner quotient first
 * changes nothing. |l b| and |h b| are at most 2^52, their sum after the shift below 2^53: no double is rounded.
 */
export function mul(a: Fixed, b: Fixed): Fixed {
  const high = Math.floor(a / 2 ** 16);
  const low = a - high * 2 ** 16;
  return Math.floor((high * b + Math.floor((low * b) / 2 ** 16)) / 2 ** 16);
}

/**
 * floor(a * 2^32 / b) for integers 0 <= a, b < 2^53 whose quotient is below 2^53; 0 when b is 0.
 *
 * Let m >= 0 and b > 0 be integers with m + b < 2^53. Then the floor of the rounded double m / b is the floor of the true
 * quotient q: with k = floor(q) + 1, q is at least 1/b below k, and 1/b > k / 2^53 because k b <= m + b, which is more than
 * rounding can move a number below k. So long division in steps of s bits is exact while a and b are at most 2^(52 - s).
 */
export function div(a: Fixed, b: Fixed): Fixed {
  if (b === 0) return 0;
  if (a <= 2 ** 36 && b <= 2 ** 36) {
    const first = Math.floor((a * 2 ** 16) / b);
    return first * 2 ** 16 + Math.floor(((a * 2 ** 16 - first * b) * 2 ** 16) / b);
  }
  if (a > 2 ** 41 || b > 2 ** 41) return Number((BigInt(a) << 32n) / BigInt(b));
  const first = Math.floor((a * 2 ** 11) / b);
  const rest = a * 2 ** 11 - first * b;
  const second = Math.floor((rest * 2 ** 11) / b);
  return first * 2 ** 21 + second * 2 ** 10 + Math.floor(((rest * 2 ** 11 - second * b) * 2 ** 10) / b);
}

/** value / 65535 */
export function fromU16(value: number): Fixed {
  return div(value, U16_MAX);
}

/** floor(x * 65535) within [0, 65535]: how the chain stores a share. */
export function toU16(x: Fixed): number {
  return Math.min(U16_MAX, Math.max(0, Math.floor((x * U16_MAX) / ONE)));
}
