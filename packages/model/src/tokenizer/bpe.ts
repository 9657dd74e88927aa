/**
 * @file Byte-pair encoding of one piece (Sennrich et al. 2016, on bytes).
 *
 * Again and again the neighbours whose merge has the lowest rank become one symbol, leftmost first, until no
 * neighbours are in the table. A heap keyed by (rank, position) over a linked list makes that O(n log n).
 */
import { bytesToText } from './byte-level.ts';
import { Heap } from './heap.ts';

/** Ranks above this would not fit beside a position in one exact number. */
export const MAX_MERGES = 2 ** 20;

/** Pieces longer than this are rare and would fill the cache. */
const MAX_CACHED_CHARS = 48;
const MAX_CACHED_PIECES = 1 << 15;

export interface Merge {
  left: number;
  right: number;
  result: number;
}

export class Bpe {
  readonly #byteIds: Int32Array;
  readonly #results: Int32Array;
  readonly #whole: ReadonlyMap<string, number>;
  readonly #ranks = new Map<number, number>();
  readonly #cache = new Map<string, readonly number[]>();
  readonly #utf8 = new TextEncoder();

  /**
   * @param byteIds [256] the token of each single byte
   * @param merges in order of rank; ids below 2^20
   * @param whole pieces, as `bytesToText` writes them, that are one token whatever the merges say
   */
  constructor(byteIds: Int32Array, merges: readonly Merge[], whole: ReadonlyMap<string, number> = new Map()) {
    this.#whole = whole;
    this.#byteIds = byteIds;
    this.#results = Int32Array.from(merges, (merge) => merge.result);
    for (const [rank, { left, right }] of merges.entries()) this.#ranks.set(pairKey(left, right), rank);
  }

  /** Token ids of one piece; lone surrogates count as U+FFFD. */
  encode(piece: string): readonly number[] {
    const cached = this.#cache.get(piece);
    if (cached !== undefined) return cached;
    const bytes = this.#utf8.encode(piece);
    const whole = this.#whole.size > 0 ? this.#whole.get(bytesToText(bytes)) : undefined;
    const ids = whole === undefined ? this.#merge(Int32Array.from(bytes, (byte) => this.#byteIds[byte]!)) : [whole];
    if (piece.length <= MAX_CACHED_CHARS) {
      if (this.#cache.size >= MAX_CACHED_PIECES) this.#cache.clear();
      this.#cache.set(piece, ids);
    }
    return ids;
  }

  /** Merges in place; a merged symbol stays at the position of its left half, the right half becomes -1. */
  #merge(ids: Int32Array): number[] {
    const n = ids.length;
    const next = Int32Array.from({ length: n }, (_, i) => i + 1);
    const previous = Int32Array.from({ length: n }, (_, i) => i - 1);
    const heap = new Heap<number>((a, b) => a < b);
    const rankAt = (i: number): number => {
      const j = next[i]!;
      return j < n ? (this.#ranks.get(pairKey(ids[i]!, ids[j]!)) ?? -1) : -1;
    };
    const offer = (i: number) => {
      const rank = rankAt(i);
      if (rank >= 0) heap.push(rank * 2 ** 32 + i);
    };
    for (let i = 0; i + 1 < n; i++) offer(i);
    for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
      const rank = Math.floor(key / 2 ** 32);
      const i = key - rank * 2 ** 32;
      // An entry is stale when an earlier merge has changed either neighbour.
      if (ids[i] === -1 || rankAt(i) !== rank) continue;
      const j = next[i]!;
      ids[i] = this.#results[rank]!;
      ids[j] = -1;
      next[i] = next[j]!;
      if (next[i]! < n) previous[next[i]!] = i;
      if (previous[i]! >= 0) offer(previous[i]!);
      offer(i);
    }
    return Array.from(ids.filter((id) => id !== -1));
  }
}

/** One number per ordered pair of token ids below 2^20. */
export function pairKey(left: number, right: number): number {
  return left * 2 ** 20 + right;
}
