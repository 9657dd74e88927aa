/** @file Reference position rotation. */
import type { Numbers, ReferenceKernel } from './types.ts';

/** Channel j pairs with j + R/2 and turns by position·step^j; channels from R on pass, rows at positions >= cutoff too. */
export const rope: ReferenceKernel = (p, n) => {
  const [y, x, position] = p as Numbers[];
  const [rows, H, E, R, step, cutoff, sign] = n;
  const half = R / 2;
  for (let i = 0; i < rows; i++) {
    for (let h = 0; h < H; h++) {
      const row = (i * H + h) * E;
      for (let j = 0; j < E; j++) y[row + j] = x[row + j];
      if (position[i] >= cutoff) continue;
      for (let j = 0; j < half; j++) {
        const angle = sign * position[i] * step ** j;
        const [a, b] = [x[row + j], x[row + j + half]];
        y[row + j] = a * Math.cos(angle) - b * Math.sin(angle);
        y[row + j + half] = b * Math.cos(angle) + a * Math.sin(angle);
      }
    }
  }
};
