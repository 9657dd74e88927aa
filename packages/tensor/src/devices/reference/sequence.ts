/** @file Reference causal depthwise convolution. */
import { silu, siluSlope } from './scalar.ts';
import type { Numbers, ReferenceKernel } from './types.ts';

interface Convolution {
  T: number;
  D: number;
  W: number;
  x: Numbers;
  w: Numbers;
  state: Numbers | null;
  position: Numbers | null;
}

/** Input `back` steps before time t in the same segment; before time 0 the carried state [B,W-1,D], oldest first. */
function convolutionInput(c: Convolution, b: number, t: number, back: number, d: number): number {
  if (c.position && c.position[b * c.T + t] < back) return 0;
  const at = t - back;
  if (at >= 0) return c.x[(b * c.T + at) * c.D + d];
  return c.state ? c.state[(b * (c.W - 1) + c.W - 1 + at) * c.D + d] : 0;
}

function convolve(c: Convolution, b: number, t: number, d: number): number {
  let sum = 0;
  for (let back = 0; back < c.W; back++) sum += c.w[d * c.W + c.W - 1 - back] * convolutionInput(c, b, t, back, d);
  return sum;
}

/** y_t = silu(sum_j w[:,j] x_{t-W+1+j}); `next` is the last W-1 inputs, for the block that follows. */
export const short_conv: ReferenceKernel = (p, n) => {
  const [y, next, x, w, state, position] = p as [
    Numbers,
    Numbers | null,
    Numbers,
    Numbers,
    Numbers | null,
    Numbers | null,
  ];
  const [B, T, D, W] = n;
  const c = { T, D, W, x, w, state, position };
  const unsegmented = { ...c, position: null };
  for (let b = 0; b < B; b++) {
    for (let d = 0; d < D; d++) {
      for (let t = 0; t < T; t++) y[(b * T + t) * D + d] = silu(convolve(c, b, t, d));
      if (!next) continue;
      for (let s = 0; s < W - 1; s++) {
        next[(b * (W - 1) + s) * D + d] = convolutionInput(unsegmented, b, T, W - 1 - s, d);
      }
    }
  }
};

/** Gradients of input and weight; none flows into the carried state. */
export const short_conv_backward: ReferenceKernel = (p, n) => {
  const [dx, dw, x, w, state, position, dy] = p as [
    Numbers,
    Numbers,
    Numbers,
    Numbers,
    Numbers | null,
    Numbers | null,
    Numbers,
  ];
  const [B, T, D, W] = n;
  const c = { T, D, W, x, w, state, position };
  const sumX = new Float64Array(B * T * D);
  const sumW = new Float64Array(D * W);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < T; t++) {
      for (let d = 0; d < D; d++) {
        const dz = dy[(b * T + t) * D + d] * siluSlope(convolve(c, b, t, d));
        for (let back = 0; back < W; back++) {
          const tap = d * W + W - 1 - back;
          sumW[tap] += dz * convolutionInput(c, b, t, back, d);
          const sameSegment = !position || position[b * T + t] >= back;
          if (t >= back && sameSegment) sumX[(b * T + t - back) * D + d] += dz * w[tap];
        }
      }
    }
  }
  dx.set(sumX);
  dw.set(sumW);
};
