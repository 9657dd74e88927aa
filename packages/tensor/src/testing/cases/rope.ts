/** @file Cases of position rotation: whole and partial heads, a cutoff, positions far out. */
import { type Case, Draw } from '../case.ts';

export async function ropeCases(): Promise<Case[]> {
  const draw = new Draw('rope');
  const cases: Case[] = [];
  for (const [rows, H, E, R, theta, last] of [
    [0, 2, 4, 4, 1e4, 1],
    [1, 1, 2, 2, 1e4, 0],
    [7, 3, 32, 16, 1e4, 100],
    [300, 2, 20, 20, 1e6, 700],
    [50, 2, 128, 64, 1e4, 50_000_000],
    [9, 1, 6, 0, 1e4, 100],
  ]) {
    for (const cutoff of [Infinity, 512]) {
      for (const sign of [1, -1]) {
        cases.push({
          name: `rope ${[rows, H, E, R]} to ${last} cutoff ${cutoff} sign ${sign}`,
          kernel: 'rope',
          buffers: [{ output: rows * H * E }, draw.normal(rows * H * E), draw.ints(rows, 0, last)],
          numbers: [rows, H, E, R, R > 0 ? theta ** (-2 / R) : 1, cutoff, sign],
        });
      }
    }
  }
  return cases;
}
