/** @file Rotary position embedding. */
import { record, recording } from '../autograd.ts';
import { type Shape, ShapeError, Tensor } from '../tensor.ts';
import type { Positions } from './sequence.ts';

export interface Rotation {
  /** Channel pair j turns by position · theta^(-2j/rotary). */
  theta: number;
  /** Channels that turn, an even number; the rest of a head passes unchanged (partial rotation). */
  rotary: number;
  /** From this position on nothing turns (safe NoPE, architecture §3.2). Default: everything turns. */
  cutoff?: number;
}

/** Whether heads x [B, T, H, E] can turn like this. @throws ShapeError */
export function checkRotation(
  op: string,
  shape: Shape,
  { B, T }: Positions,
  { rotary }: Pick<Rotation, 'rotary'>,
): void {
  if (B === shape[0] && T === shape[1] && rotary <= (shape[3] as number) && rotary % 2 === 0) return;
  throw new ShapeError(`${op}: ${rotary} channels, positions [${[B, T]}] for x [${shape}]`);
}

/** Rotary position embedding, NeoX layout (Su et al. 2021), of x [B, T, H, E]; exact to float at any position. */
export function rope(x: Tensor, positions: Positions, { theta, rotary, cutoff = Infinity }: Rotation): Tensor {
  const [B, T, H, E] = x.shape as [number, number, number, number];
  checkRotation('rope', x.shape, positions, { rotary });
  const rotate = (from: Tensor, sign: number) => {
    const y = Tensor.empty(x.device, x.shape);
    const buffers = [y.buffer, from.buffer, positions.tensor.buffer];
    x.device.run('rope', buffers, [B * T, H, E, rotary, theta ** (-2 / rotary), cutoff, sign]);
    return y;
  };
  const y = rotate(x, 1);
  // An orthogonal map: the backward pass is the rotation by the opposite angle.
  if (recording([x])) record([x], [y], ([d]) => [rotate(d as Tensor, -1)]);
  return y;
}
