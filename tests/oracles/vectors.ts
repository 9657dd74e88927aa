/** @file What the oracles printed, and the inputs that both sides draw. */
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';

/** Numbers by case and name. */
export type Vectors = Record<string, Record<string, number[]>>;

export function readVectors(name: string): Vectors {
  return JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), 'utf8'));
}

/** The numbers of `uniform` in inputs.py: in (low, high), the same for the same name. */
export function uniform(name: string, low: number, high: number, size: number): Float64Array {
  const modulus = 2 ** 31 - 1;
  let state = (crc32(name) % (modulus - 1)) + 1;
  return Float64Array.from({ length: size }, () => {
    state = (state * 48271) % modulus;
    return low + (high - low) * (state / modulus);
  });
}

/** RMS(x - expected) / RMS(expected) */
export function relativeError(x: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    difference += ((x[i] as number) - (expected[i] as number)) ** 2;
    size += (expected[i] as number) ** 2;
  }
  return x.length === expected.length ? Math.sqrt(difference / size) : Number.POSITIVE_INFINITY;
}
