/**
 * @file A random order of 0 … n-1 without a table: a Feistel network (Luby and Rackoff 1988) over the smallest square of a power of
 * two that holds n numbers; results outside are sent through again until they are inside (cycle walking, Black and Rogaway 2002).
 */
import { createHash } from 'node:crypto';

const ROUNDS = 8;

/** @param size from 1 to 2^52 @returns a bijection on 0 … size-1, a function of `key` */
export function permutation(size: number, key: string): (index: number) => number {
  const halfBits = Math.max(1, Math.ceil(Math.log2(size) / 2));
  const half = 2 ** halfBits;
  const digest = createHash('sha256').update(key).digest();
  const keys = Uint32Array.from({ length: ROUNDS }, (_, i) => digest.readUInt32LE(4 * i));
  const once = (value: number): number => {
    let left = Math.floor(value / half);
    let right = value % half;
    for (const roundKey of keys) {
      const mixed = (left ^ mix(right ^ roundKey)) & (half - 1);
      left = right;
      right = mixed;
    }
    return left * half + right;
  };
  return (index) => {
    let value = once(index);
    while (value >= size) value = once(value);
    return value;
  };
}

/** Finaliser of MurmurHash3 (Appleby): every bit of the input reaches every bit of the result. */
function mix(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}
