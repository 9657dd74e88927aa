/** @file TAO as people write it, rao as the ledger counts it: 1 TAO = 1e9 rao. */

const RAO_PER_TAO = 1e9;

/** Rounded to the nearest rao. @param tao finite */
export function toRao(tao: number): bigint {
  return BigInt(Math.round(tao * RAO_PER_TAO));
}

export function toTao(rao: bigint): number {
  return Number(rao) / RAO_PER_TAO;
}
