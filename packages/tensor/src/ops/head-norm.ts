/** @file What softmax attention does to the projections of queries and keys before it compares them, in one pass. */
import { record, recording } from '../autograd.ts';
import { ShapeError, Tensor } from '../tensor.ts';
import { partialSums } from './norm.ts';
import { checkRotation, type Rotation } from './rope.ts';
import type { Positions } from './sequence.ts';

export interface HeadNormOptions {
  eps: number;
  /** Added to the weight, as in `rmsNorm`. */
  offset?: number;
  /** Null, or without positions: nothing turns. */
  rotation?: Rotation | null;
  positions?: Positions | null;
}

/** `rope(rmsNorm(x, w))` per head: x [B, T, H, E], w [E] -> [B, T, H, E]. @throws ShapeError */
export function headNorm(x: Tensor, w: Tensor, options: HeadNormOptions): Tensor {
  return normed(x, w, options, false)[0] as Tensor;
}

/** The same of the first half of each head of x [B, T, H, 2 E]; the second half is its gate, both [B, T, H, E]. @throws ShapeError */
export function gatedHeadNorm(x: Tensor, w: Tensor, options: HeadNormOptions): { y: Tensor; gate: Tensor } {
  const [y, gate] = normed(x, w, options, true) as [Tensor, Tensor];
  return { y, gate };
}

function normed(x: Tensor, w: Tensor, options: HeadNormOptions, isGated: boolean): Tensor[] {
  const { eps, offset = 0, rotation = null, positions = null } = options;
  const [B, T, H, width] = x.shape as [number, number, number, number];
  const { device } = x;
  const E = w.size;
  if (width !== (isGated ? 2 : 1) * E) throw new ShapeError(`headNorm: weights [${w.shape}] for x [${x.shape}]`);
  const turns = rotation && positions ? { ...rotation, positions } : null;
  if (turns) checkRotation('headNorm', [B, T, H, E], turns.positions, turns);
  const { theta = 1, rotary = 0, cutoff = Infinity } = turns ?? {};
  const numbers = [B * T, H, E, eps, offset, rotary, rotary > 0 ? theta ** (-2 / rotary) : 1, cutoff];
  const at = turns?.positions.tensor ?? null;
  const run = (kernel: 'head_norm' | 'head_norm_backward', tensors: (Tensor | null)[]) =>
    device.run(
      kernel,
      tensors.map((t) => t?.buffer ?? null),
      numbers,
    );
  const y = Tensor.empty(device, [B, T, H, E]);
  const gate = isGated ? Tensor.empty(device, y.shape) : null;
  run('head_norm', [y, gate, x, w, at]);
  const out = gate ? [y, gate] : [y];
  if (recording([x, w])) {
    record([x, w], out, (given) => {
      // What nothing flowed into has no gradient yet.
      const [dy, dGate] = out.map((t, i) => given[i] ?? Tensor.zeros(device, t.shape)) as [Tensor, Tensor?];
      const [dx, dw] = [Tensor.empty(device, x.shape), Tensor.empty(device, w.shape)];
      run('head_norm_backward', [dx, dw, x, w, at, dy, dGate ?? null, partialSums(y, B * T * H, E)]);
      return [dx, dw];
    });
  }
  return out;
}
