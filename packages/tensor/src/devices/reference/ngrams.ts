/** @file Reference rows of an n-gram memory: hashes of the last canonical tokens. */
import type { Numbers, ReferenceKernel } from './types.ts';

const FACTOR = 2654435761n;

/** |h| mod slots, as signed 64-bit numbers that wrap have it: the least of them is its own magnitude. */
function slotOf(h: bigint, slots: bigint): number {
  const magnitude = BigInt.asIntN(64, h < 0n ? -h : h);
  return Number(((magnitude % slots) + slots) % slots);
}

/** Per table: hash = seed, then for each of the last n tokens, oldest first, hash = hash · 2654435761 xor token. */
export const ngram_rows: ReferenceKernel = (p, n) => {
  const [rows, next, ids, map, seeds, orders, state, position] = p as [
    Numbers,
    Numbers | null,
    Numbers,
    Numbers,
    Numbers,
    Numbers,
    Numbers | null,
    Numbers | null,
  ];
  const [B, T, tables, heads, back, slots] = n;
  const canonical = (b: number, at: number) => (at >= 0 ? map[ids[b * T + at]] : (state?.[b * back + back + at] ?? 0));
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < T; t++) {
      for (let j = 0; j < tables; j++) {
        let hash = BigInt(seeds[j]);
        for (let before = Math.min(back, orders[Math.floor(j / heads)] - 1); before >= 0; before--) {
          const isOutside = position !== null && position[b * T + t] < before;
          hash = BigInt.asIntN(64, hash * FACTOR) ^ BigInt(isOutside ? 0 : canonical(b, t - before));
        }
        rows[(b * T + t) * tables + j] = j * slots + slotOf(hash, BigInt(slots));
      }
    }
    for (let s = 0; next && s < back; s++) next[b * back + s] = canonical(b, T - back + s);
  }
};
