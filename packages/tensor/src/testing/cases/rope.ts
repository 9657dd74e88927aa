/** @file Cases of position rotation, alone and after the norm of a head: whole and partial heads, a cutoff, positions far out, positions that come often. */
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
    [2000, 1, 8, 6, 1e4, 700],
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
  for (const [rows, H, E, R, last, gated] of [
    [0, 2, 4, 4, 1, 1],
    [1, 1, 2, 2, 0, 0],
    [7, 3, 32, 16, 100, 1],
    [300, 2, 20, 20, 70, 0],
    [300, 3, 64, 64, 700, 1],
    [65, 2, 6, 0, 100, 1],
  ]) {
    const size = rows * H * E;
    const [x, w] = [draw.normal(size * (gated ? 2 : 1), 3), draw.normal(E)];
    const position = R > 0 ? draw.ints(rows, 0, last) : null;
    const out = { output: size };
    const numbers = [rows, H, E, 1e-6, 1, R, R > 0 ? 1e4 ** (-2 / R) : 1, last > 500 ? 512 : Infinity];
    const name = `${[rows, H, E, R]} to ${last}${gated ? ', gated' : ''}`;
    cases.push({
      name: `head_norm ${name}`,
      kernel: 'head_norm',
      buffers: [out, gated ? out : null, x, w, position],
      numbers,
    });
    const work = { output: Math.ceil((rows * H) / 64) * E, scratch: true };
    cases.push({
      name: `head_norm_backward ${name}`,
      kernel: 'head_norm_backward',
      buffers: [
        { output: x.length },
        { output: E },
        x,
        w,
        position,
        draw.normal(size),
        gated ? draw.normal(size) : null,
        work,
      ],
      numbers,
    });
  }
  return cases;
}
