/** @file Numbers of the chain as the port tells them: rao as TAO, u16 as fractions, block numbers as plain numbers. */
import { U16_MAX } from '../weights.ts';

const RAO_PER_TAO = 1e9;

/** @param rao u64 */
export function taoOf(rao: bigint): number {
  return Number(rao) / RAO_PER_TAO;
}

/** Rounded to the nearest rao. @param tao finite */
export function raoOf(tao: number): bigint {
  return BigInt(Math.round(tao * RAO_PER_TAO));
}

/** In [0, 1]. */
export function fractionOf(value: number): number {
  return value / U16_MAX;
}
