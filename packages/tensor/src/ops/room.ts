/** @file Tensors with room for more rows, as caches that grow without being copied each time. */
import { recording } from '../autograd.ts';
import { ShapeError, Tensor } from '../tensor.ts';
import { around, copyBlocks } from './layout.ts';

/**
 * Rows `from` to `to` (exclusive) of axis 1 of x [B, S, ...], and after them room, uninitialised: [B, room, ...].
 * @throws ShapeError
 */
export function withRoom(x: Tensor, from: number, to: number, room: number): Tensor {
  const { rows, length, inner } = around('withRoom', x, 1);
  if (!(from >= 0 && from <= to && to <= length && to - from <= room))
    throw new ShapeError(`withRoom: ${from} to ${to} of [${x.shape}] in room for ${room}`);
  const out = Tensor.empty(x.device, x.shape.with(1, room));
  const place = { tensor: x, step: length * inner, at: from * inner };
  copyBlocks({ tensor: out, step: room * inner, at: 0 }, place, rows, (to - from) * inner);
  return out;
}

/**
 * Writes x [B, T, ...] to the rows from `at` on of axis 1 of `cache` [B, room, ...], in place; not for gradients.
 * @param growth by how much `at` grows with every run of a command list that records this
 * @throws ShapeError
 */
export function writeRows(cache: Tensor, x: Tensor, at: number, growth = 0): void {
  const { rows, length: room, inner } = around('writeRows', cache, 1);
  const T = x.dim(1);
  if (`${x.shape}` !== `${cache.shape.with(1, T)}` || !(at >= 0 && at + T <= room))
    throw new ShapeError(`writeRows: [${x.shape}] from row ${at} on of [${cache.shape}]`);
  if (recording([cache, x])) throw new Error('writeRows: gradients do not see what is written in place');
  const place = { tensor: cache, step: room * inner, at: at * inner };
  copyBlocks(place, { tensor: x, step: T * inner, at: 0 }, rows, T * inner, false, growth * inner);
}
