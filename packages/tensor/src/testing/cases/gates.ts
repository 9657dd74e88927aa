/** @file Cases of write gates and log decays: keys of every length, bounds that are met and not. */
import { type Case, Draw } from '../case.ts';

export async function gateCases(): Promise<Case[]> {
  const draw = new Draw('gates');
  const cases: Case[] = [];
  for (const [rows, E, keyScale] of [
    [0, 4, 1],
    [1, 1, 1],
    [400, 16, 1e-4],
    [400, 16, 0.03],
    [400, 33, 0.3],
    [400, 16, 1],
    [100, 16, 30],
  ] as const) {
    for (const [form, numbers, hasRate] of [
      ['', [], false],
      [' sigmoid', [1], false],
      [' rate', [], true],
      [' eps, floor', [1, 1e-8, 0.05], false],
      [' static eps', [0, 1e-8, 0], false],
    ] as const) {
      const [z, k] = [draw.normal(rows, 3), draw.normal(rows * E, keyScale)];
      const [rate, drate] = hasRate ? [draw.uniform(rows, 0, 2), { output: rows }] : [null, null];
      const [row, key] = [{ output: rows }, { output: rows * E }];
      const name = `${rows}x${E} keys ${keyScale}${form}`;
      const all = [rows, E, ...numbers];
      cases.push({ name: `exact_gate ${name}`, kernel: 'exact_gate', buffers: [row, z, k, rate], numbers: all });
      const buffers = [row, key, drate, z, k, rate, draw.normal(rows)];
      cases.push({ name: `exact_gate_backward ${name}`, kernel: 'exact_gate_backward', buffers, numbers: all });
    }
  }
  // Rates around 1 stay within the bounds of the gate, those of a fresh model mostly not; keys of length 0, 1 and 6.
  for (const [rows, H, E, keyScale, rateScale] of [
    [0, 2, 4, 1, 0],
    [1, 1, 1, 1, -1],
    [30, 3, 16, 0, -1],
    [70, 2, 33, 0.2, -1],
    [70, 2, 16, 1.5, 1],
  ]) {
    const numbers = [rows, H, E];
    const [z, k, dt] = [draw.normal(rows * H), draw.normal(rows * H * E, keyScale), draw.normal(H * E)];
    const A = draw.uniform(H, rateScale - 1, rateScale + 1);
    const [head, channel] = [{ output: rows * H }, { output: rows * H * E }];
    const name = `${numbers} keys ${keyScale} rate ${rateScale}`;
    cases.push({ name: `preview_gate ${name}`, kernel: 'preview_gate', buffers: [head, z, k, A, dt], numbers });
    cases.push({
      name: `preview_gate_backward ${name}`,
      kernel: 'preview_gate_backward',
      buffers: [head, channel, head, channel, z, k, A, dt, draw.normal(rows * H)],
      numbers,
    });
    const x = draw.normal(rows * H * E, 4);
    cases.push({ name: `decay_gate ${name}`, kernel: 'decay_gate', buffers: [channel, x, A, dt], numbers });
    cases.push({
      name: `decay_gate_backward ${name}`,
      kernel: 'decay_gate_backward',
      buffers: [channel, head, x, A, dt, draw.normal(rows * H * E)],
      numbers,
    });
  }
  return cases;
}
