/** @file Cases of the normalisations. */
import { type Case, Draw } from '../case.ts';

export async function normCases(): Promise<Case[]> {
  const draw = new Draw('norm');
  const cases: Case[] = [];
  for (const [M, N] of [
    [1, 3],
    [1, 16],
    [5, 33],
    [300, 64],
    [3, 1000],
  ]) {
    const size = M * N;
    const [x, dy, w, gate] = [draw.normal(size, 3), draw.normal(size), draw.normal(N), draw.normal(size, 3)];
    const work = { output: Math.ceil(M / 64) * N, scratch: true };
    const y = { output: size };
    const [dw, numbers] = [{ output: N }, [M, N, 1e-6]];
    const shape = `${M}x${N}`;
    cases.push({ name: `rms_norm ${shape}`, kernel: 'rms_norm', buffers: [y, x, w], numbers });
    cases.push({
      name: `rms_norm_backward ${shape}`,
      kernel: 'rms_norm_backward',
      buffers: [y, dw, x, w, dy, work],
      numbers,
    });
    for (const op of [0, 1]) {
      cases.push({
        name: `gated_norm ${op} ${shape}`,
        kernel: 'gated_norm',
        buffers: [y, x, w, gate],
        numbers: [...numbers, op],
      });
      cases.push({
        name: `gated_norm_backward ${op} ${shape}`,
        kernel: 'gated_norm_backward',
        buffers: [y, dw, y, x, w, gate, dy, work],
        numbers: [...numbers, op],
      });
    }
    cases.push({ name: `l2_norm ${shape}`, kernel: 'l2_norm', buffers: [y, x], numbers: [M, N, 0.25] });
    cases.push({
      name: `l2_norm_backward ${shape}`,
      kernel: 'l2_norm_backward',
      buffers: [y, x, dy],
      numbers: [M, N, 0.25],
    });
  }
  for (const [M, N] of [
    [1, 3],
    [130, 33],
  ]) {
    const [x, dy, w] = [draw.normal(M * N, 3), draw.normal(M * N), draw.normal(N)];
    cases.push({
      name: `rms_norm ${M}x${N}, offset`,
      kernel: 'rms_norm',
      buffers: [{ output: M * N }, x, w],
      numbers: [M, N, 1e-6, 1],
    });
    cases.push({
      name: `rms_norm_backward ${M}x${N}, offset, added`,
      kernel: 'rms_norm_backward',
      buffers: [
        { inPlace: draw.normal(M * N) },
        { output: N },
        x,
        w,
        dy,
        { output: Math.ceil(M / 64) * N, scratch: true },
      ],
      numbers: [M, N, 1e-6, 1, 1],
    });
  }
  const zero = new Float64Array(32);
  cases.push({ name: 'l2_norm of zero', kernel: 'l2_norm', buffers: [{ output: 32 }, zero], numbers: [2, 16, 1] });
  cases.push({
    name: 'rms_norm of zero',
    kernel: 'rms_norm',
    buffers: [{ output: 32 }, zero, draw.normal(16)],
    numbers: [2, 16, 1e-6],
  });
  return cases;
}
