/** @file Cases of short convolution and write gate. */
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
  ]) {
    for (const carried of [false, true]) {
      for (const segmented of [false, true]) {
        const [x, w, dy] = [draw.normal(B * T * D), draw.normal(D * W), draw.normal(B * T * D)];
        const state = carried ? draw.normal(B * (W - 1) * D) : null;
        const position = segmented ? draw.positions(B, T) : null;
        const numbers = [B, T, D, W];
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
          buffers: [like, { output: D * W }, x, w, state, position, dy, { ...like, scratch: true }],
          numbers,
        });
      }
    }
  }

  for (const [rows, E, keyScale] of [
    [1, 1, 1],
    [400, 16, 1e-4],
    [400, 16, 0.03],
    [400, 33, 0.3],
    [400, 16, 1],
    [100, 16, 30],
  ]) {
    const [z, k] = [draw.normal(rows, 3), draw.normal(rows * E, keyScale)];
    const name = `${rows}x${E} keys ${keyScale}`;
    const numbers = [rows, E];
    cases.push({ name: `exact_gate ${name}`, kernel: 'exact_gate', buffers: [{ output: rows }, z, k], numbers });
    cases.push({
      name: `exact_gate_backward ${name}`,
      kernel: 'exact_gate_backward',
      buffers: [{ output: rows }, { output: rows * E }, z, k, draw.normal(rows)],
      numbers,
    });
  }
  for (const [rows, H, E] of [
    [1, 1, 1],
    [300, 3, 1],
    [70, 2, 33],
  ] as [number, number, number][]) {
    const numbers = [rows, H, E];
    const size = rows * H * E;
    const given = [draw.normal(size, 4), draw.uniform(H, -2, 2.8), draw.normal(H * E)];
    const out = { output: size };
    cases.push({ name: `decay_gate ${numbers}`, kernel: 'decay_gate', buffers: [out, ...given], numbers });
    cases.push({
      name: `decay_gate_backward ${numbers}`,
      kernel: 'decay_gate_backward',
      buffers: [out, { output: rows * H }, ...given, draw.normal(size)],
      numbers,
    });
  }
  return cases;
}
