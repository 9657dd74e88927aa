/** @file Cases of copies between layouts. */
import { type Case, Draw } from '../case.ts';

export async function layoutCases(): Promise<Case[]> {
  const draw = new Draw('layout');
  const cases: Case[] = [];
  for (const [rows, width, outStep, outAt, step, at] of [
    [0, 3, 3, 0, 3, 0],
    [1, 1, 1, 0, 1, 0],
    [1, 40_000, 40_000, 0, 40_003, 3],
    [7, 0, 5, 0, 5, 2],
    [700, 33, 99, 66, 33, 0],
    [5000, 16, 16, 0, 32, 16],
    [3, 20_000, 20_007, 7, 20_000, 0],
  ] as [number, number, number, number, number, number][]) {
    for (const adds of [0, 1]) {
      const numbers = [rows, width, outStep, outAt, step, at, adds];
      const [out, x] = [draw.normal(outAt + rows * outStep), draw.normal(at + rows * step)];
      cases.push({ name: `copy_blocks ${numbers}`, kernel: 'copy_blocks', buffers: [{ inPlace: out }, x], numbers });
    }
  }
  return cases;
}
