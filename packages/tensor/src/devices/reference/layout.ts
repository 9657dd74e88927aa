/** @file Reference copies between layouts. */
import type { Numbers, ReferenceKernel } from './types.ts';

/** Row r of `width` values goes from x + r·step + at to out + r·outStep + outAt, or is added there. */
export const copy_blocks: ReferenceKernel = (p, n) => {
  const [out, x] = p as Numbers[];
  const [rows, width, outStep, outAt, step, at, adds] = n;
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < width; j++) {
      const to = outAt + r * outStep + j;
      out[to] = x[at + r * step + j] + (adds ? out[to] : 0);
    }
  }
};
