/** @file Where an n-gram memory keeps what it knows of the last tokens. Architecture §3.11; Engram (2601.07372). */
import { ShapeError, Tensor } from '../tensor.ts';
import { checkPositions, type Positions } from './sequence.ts';

/** All `int`. Ids lie in [0, V): the caller checks them. Map values beyond 2^24 would not be exact in the state. */
export interface NgramHash {
  /** Canonical token of each id, [V]. */
  map: Tensor;
  /** First number of the hash of each table, [tables]. */
  seeds: Tensor;
  /** Tokens that a hash covers, at most back + 1, one number for each of some equal groups of tables. */
  orders: Tensor;
  /** Rows of a table. */
  slots: number;
  /** Largest order less one: tokens that the state holds. */
  back: number;
}

/**
 * Row of each token in each table, within the tables one after the other: [B, T, tables], int. Table j has
 * j·slots + |h| mod slots with h = seed_j, then h = h·2654435761 xor c for the last n canonical tokens c, oldest first, in
 * signed 64-bit numbers that wrap. Tokens before the segment count as 0.
 * @param ids [B, T], int
 * @param state the last `back` canonical tokens of the block before, [B, back], as floats; null: none
 * @returns `state` for the next block
 * @throws ShapeError
 */
export function ngramRows(
  ids: Tensor,
  { map, seeds, orders, slots, back }: NgramHash,
  state: Tensor | null,
  positions: Positions | null,
): { rows: Tensor; state: Tensor } {
  const [B, T] = ids.shape as [number, number];
  const heads = seeds.size / orders.size;
  if (ids.shape.length !== 2 || !Number.isInteger(heads) || !(slots > 0) || slots * seeds.size >= 2 ** 31)
    throw new ShapeError(`ngramRows: ids [${ids.shape}], ${seeds.size} tables of ${slots}, ${orders.size} orders`);
  if (state && state.size !== B * back)
    throw new ShapeError(`ngramRows: state [${state.shape}], expected [${B},${back}]`);
  checkPositions('ngramRows', positions, B, T);
  const rows = Tensor.empty(ids.device, [B, T, seeds.size], 'int');
  const next = Tensor.empty(ids.device, [B, back]);
  const tensors = [rows, next, ids, map, seeds, orders, state, positions?.tensor ?? null];
  const buffers = tensors.map((t) => t?.buffer ?? null);
  ids.device.run('ngram_rows', buffers, [B, T, seeds.size, heads, back, slots, map.size]);
  return { rows, state: next };
}
