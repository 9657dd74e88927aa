/** @file Cases of softmax attention: tile edges, grouped heads, segments, windows, caches with and without room, decoding. */
import { type Case, Draw, outputs } from '../case.ts';

/** B, T, S, room, H, Hk, D */
const SHAPES = [
  [1, 0, 0, 0, 2, 1, 16],
  [1, 0, 3, 3, 2, 1, 16],
  [1, 1, 1, 1, 1, 1, 16],
  [2, 1, 300, 310, 4, 2, 32],
  [1, 2, 2, 2, 3, 1, 16],
  [2, 7, 7, 7, 4, 2, 48],
  [1, 64, 64, 64, 2, 2, 16],
  [1, 65, 65, 65, 1, 1, 32],
  [1, 70, 200, 203, 6, 2, 16],
  [2, 150, 150, 150, 4, 1, 16],
  [1, 100, 200, 201, 2, 1, 256],
  [3, 70, 90, 93, 6, 3, 16],
] as const;

/** Tokens that see at most the 40 before them. */
function window(B: number, T: number, S: number): Int32Array {
  return Int32Array.from({ length: B * T }, (_, i) => Math.min(S - T + (i % T), 40));
}

export async function attentionCases(): Promise<Case[]> {
  const draw = new Draw('attention');
  const cases: Case[] = [];
  for (const [B, T, S, room, H, Hk, D] of SHAPES) {
    for (const seen of ['all', 'segments', 'window'] as const) {
      if (seen === 'window' && T < 64) continue;
      // Large scores that are sums of many products round more than the bound allows.
      for (const spread of T < 64 || D > 64 ? [1] : [1, 12]) {
        const [rows, keys] = [B * T * H, B * room * Hk * D];
        const [q, k, v] = [draw.normal(rows * D, spread), draw.normal(keys), draw.normal(keys)];
        const position = seen === 'all' ? null : seen === 'segments' ? draw.positions(B, T) : window(B, T, S);
        const numbers = [B, T, S, room, H, Hk, D, D ** -0.5];
        const name = `${[B, T, S, room, H, Hk, D]}${seen === 'all' ? '' : ` ${seen}`}${spread > 1 ? ' sharp' : ''}`;
        const buffers = [{ output: rows * D }, { output: rows }, q, k, v, position];
        cases.push({ name: `attention ${name}`, kernel: 'attention', buffers, numbers });
        const [out, lse] = (await outputs('attention', buffers, numbers)) as [Float64Array, Float64Array];
        cases.push({
          name: `attention_backward ${name}`,
          kernel: 'attention_backward',
          // Where one key takes nearly all of a row, dP - D cancels.
          ...(spread > 1 && { tolerance: 3e-5 }),
          buffers: [
            { output: rows * D },
            { output: keys },
            { output: keys },
            ...[q, k, v, position, out, lse, draw.normal(rows * D)],
          ],
          numbers,
        });
      }
    }
  }
  const [q, k, v] = [draw.normal(32), draw.normal(5 * 16), draw.normal(5 * 16)];
  const numbers = [1, 2, 5, 5, 1, 1, 16, 0.25];
  // A negative position marks padding: such a row sees only itself.
  const buffers = [{ output: 32 }, { output: 2 }, q, k, v, Int32Array.of(-1, 1)];
  cases.push({ name: 'attention with padding', kernel: 'attention', buffers, numbers });
  return cases;
}
