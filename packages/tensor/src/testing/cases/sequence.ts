/** @file Cases of the short convolution. */
import { type Case, Draw } from '../case.ts';

export async function sequenceCases(): Promise<Case[]> {
  const draw = new Draw('sequence');
  const cases: Case[] = [];

  for (const [B, T, D, W] of [
    [1, 1, 1, 4],
    [2, 2, 5, 4],
    [3, 70, 48, 4],
    [1, 300, 33, 2],
    [2, 9, 3, 1],
    [1, 67, 300, 4],
    [2, 130, 17, 6],
    [1, 3, 2, 9],
  ]) {
    for (const carried of [false, true]) {
      for (const segmented of [false, true]) {
        const [x, w, dy] = [draw.normal(B * T * D), draw.normal(D * W), draw.normal(B * T * D)];
        const state = carried ? draw.normal(B * (W - 1) * D) : null;
        const position = segmented ? draw.positions(B, T) : null;
        const numbers = [B, T, D, W];
        const work = { output: B * Math.ceil(T / 64) * 4 * Math.ceil(W / 4) * D, scratch: true };
        const [like, next] = [{ output: B * T * D }, { output: B * (W - 1) * D }];
        const name = `${numbers}${carried ? ' state' : ''}${segmented ? ' segments' : ''}`;
        cases.push({
          name: `short_conv ${name}`,
          kernel: 'short_conv',
          buffers: [like, next, x, w, state, position],
          numbers,
        });
        cases.push({
          name: `short_conv_backward ${name}`,
          kernel: 'short_conv_backward',
          buffers: [like, { output: D * W }, x, w, state, position, dy, work],
          numbers,
        });
      }
    }
  }
  return cases;
}
