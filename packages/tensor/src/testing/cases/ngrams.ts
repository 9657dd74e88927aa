/** @file Cases of n-gram hashes: tables of one row and of many, orders one to four, segments, carried tokens. */
import { type Case, Draw } from '../case.ts';

/** Ids, map, seed and order of a 2-gram whose hash is −2^63. */
const LEAST = [[0, 1], [4_044_166, 373], [295_746_163], [2]].map((x) => Int32Array.from(x));

export async function ngramCases(): Promise<Case[]> {
  const draw = new Draw('ngrams');
  const cases: Case[] = [];
  for (const [B, T, V, heads, orders, slots] of [
    [1, 0, 3, 1, [2], 5],
    [1, 1, 1, 1, [1], 1],
    [2, 5, 20, 2, [2, 3], 7],
    [3, 130, 500, 8, [2, 3], 125_003],
    [1, 40, 50, 3, [4, 1, 3], 2 ** 24],
  ] as [number, number, number, number, number[], number][]) {
    for (const carried of [false, true]) {
      for (const segmented of [false, true]) {
        const [tables, back] = [heads * orders.length, Math.max(...orders) - 1];
        const numbers = [B, T, tables, heads, back, slots, V];
        const [ids, map] = [draw.ints(B * T, 0, V - 1), draw.ints(V, 0, 2 ** 24 - 1)];
        const state = carried ? Float64Array.from(draw.ints(B * back, 0, 2 ** 24 - 1)) : null;
        const position = segmented ? draw.positions(B, T) : null;
        const outputs = [{ output: B * T * tables, int: true }, { output: B * back }];
        // One order of a file may be larger than the caller says.
        const given = Int32Array.from(orders, (n, i) => (i === 1 ? 9 : n));
        const inputs = [ids, map, draw.ints(tables, 1, 2 ** 31 - 2), given, state, position];
        const name = `ngram_rows ${numbers}${carried ? ' state' : ''}${segmented ? ' segments' : ''}`;
        // Integers are right or wrong.
        cases.push({ name, kernel: 'ngram_rows', buffers: [...outputs, ...inputs], numbers, tolerance: 0 });
      }
    }
  }
  // The hash of the second token is −2^63, which has no magnitude in 64 bits.
  cases.push({
    name: 'ngram_rows least hash',
    kernel: 'ngram_rows',
    buffers: [{ output: 2, int: true }, null, ...LEAST, null, null],
    numbers: [1, 2, 1, 1, 1, 125_003, 2],
    tolerance: 0,
  });
  return cases;
}
