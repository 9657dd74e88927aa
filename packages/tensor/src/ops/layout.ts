/** @file Parts of tensors and tensors of parts: slices, splits, concatenation, heads that repeat. */
import { record, recording } from '../autograd.ts';
import { ShapeError, sizeOf, Tensor } from '../tensor.ts';

/** Rows of floats inside a tensor: row r lies at r·step + at. */
export interface Place {
  tensor: Tensor;
  step: number;
  at: number;
}

/** @param growth of `to.at`, with every run of a command list that records this */
export function copyBlocks(to: Place, from: Place, rows: number, width: number, adds = false, growth = 0): void {
  const buffers = [to.tensor.buffer, from.tensor.buffer];
  const numbers = [rows, width, to.step, to.at, from.step, from.at, Number(adds)];
  to.tensor.device.run('copy_blocks', buffers, numbers, growth > 0 ? [0, 0, 0, growth] : undefined);
}

/** How a tensor lies in memory around one axis: `rows` times as many floats as the axis is long times `inner`. */
export function around(
  op: string,
  x: Tensor,
  axis: number,
): { axis: number; rows: number; length: number; inner: number } {
  const at = axis < 0 ? axis + x.shape.length : axis;
  if (!(at >= 0 && at < x.shape.length)) throw new ShapeError(`${op}: [${x.shape}] has no axis ${axis}`);
  const [before, after] = [x.shape.slice(0, at), x.shape.slice(at + 1)];
  return { axis: at, rows: sizeOf(before), length: x.shape[at] as number, inner: sizeOf(after) };
}

function ranges(
  op: string,
  x: Tensor,
  axis: number,
  parts: readonly (readonly [from: number, to: number])[],
): Tensor[] {
  const { axis: at, rows, length, inner } = around(op, x, axis);
  for (const [from, to] of parts) {
    if (!(from >= 0 && from <= to && to <= length))
      throw new ShapeError(`${op}: ${from} to ${to} of axis ${axis} of [${x.shape}]`);
  }
  const whole = (tensor: Tensor, from: number) => ({ tensor, step: length * inner, at: from * inner });
  const alone = (tensor: Tensor, width: number) => ({ tensor, step: width * inner, at: 0 });
  const out = parts.map(([from, to]) => {
    const part = Tensor.empty(x.device, x.shape.with(at, to - from));
    copyBlocks(alone(part, to - from), whole(x, from), rows, (to - from) * inner);
    return part;
  });
  if (recording([x])) {
    record([x], out, (given) => {
      const covered = parts.reduce((sum, [from, to], i) => sum + (given[i] ? to - from : 0), 0);
      const dx = covered === length ? Tensor.empty(x.device, x.shape) : Tensor.zeros(x.device, x.shape);
      parts.forEach(([from, to], i) => {
        const d = given[i];
        if (d) copyBlocks(whole(dx, from), alone(d, to - from), rows, (to - from) * inner);
      });
      return [dx];
    });
  }
  return out;
}

/** Entries `from` to `to` (exclusive) of an axis. @throws ShapeError */
export function slice(x: Tensor, axis: number, from: number, to: number): Tensor {
  return ranges('slice', x, axis, [[from, to]])[0] as Tensor;
}

/** Consecutive parts of the last axis, of the given widths, which add up to it. @throws ShapeError */
export function split<const W extends readonly number[]>(x: Tensor, widths: W): { -readonly [I in keyof W]: Tensor } {
  let at = 0;
  const parts = widths.map((width): [number, number] => {
    at += width;
    return [at - width, at];
  });
  if (at !== x.dim(-1)) throw new ShapeError(`split: parts of ${widths} of [${x.shape}]`);
  return ranges('split', x, -1, parts) as { -readonly [I in keyof W]: Tensor };
}

/** Tensors one after the other along an axis; their other axes agree. @throws ShapeError */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const [first] = parts;
  if (!first) throw new ShapeError('concat: nothing to put together');
  const { axis: at, rows, inner } = around('concat', first, axis);
  const lengths = parts.map((part) => part.shape[at] as number);
  if (parts.some((part, i) => `${part.shape}` !== `${first.shape.with(at, lengths[i] as number)}`))
    throw new ShapeError(`concat: ${parts.map((part) => `[${part.shape}]`).join(' · ')} along axis ${axis}`);
  const length = lengths.reduce((sum, n) => sum + n, 0);
  const out = Tensor.empty(first.device, first.shape.with(at, length));
  /** Calls `visit` with each part's place inside a whole tensor. */
  const each = (tensor: Tensor, visit: (place: Place, i: number, width: number) => void) => {
    let from = 0;
    lengths.forEach((width, i) => {
      visit({ tensor, step: length * inner, at: from * inner }, i, width * inner);
      from += width;
    });
  };
  each(out, (place, i, width) => copyBlocks(place, { tensor: parts[i] as Tensor, step: width, at: 0 }, rows, width));
  if (recording([...parts])) {
    record([...parts], [out], ([d]) => {
      const found = parts.map((part) => Tensor.empty(part.device, part.shape));
      each(d as Tensor, (place, i, width) =>
        copyBlocks({ tensor: found[i] as Tensor, step: width, at: 0 }, place, rows, width),
      );
      return found;
    });
  }
  return out;
}

/** Each head `times` times in a row, as grouped heads are shared: x [..., H, E] -> [..., H·times, E]. */
export function repeatHeads(x: Tensor, times: number): Tensor {
  if (times === 1) return x;
  const [H, E] = [x.dim(-2), x.dim(-1)];
  const rows = x.size / E;
  const out = Tensor.empty(x.device, [...x.shape.slice(0, -2), H * times, E]);
  const copies = Array.from({ length: times }, (_, i) => i * E);
  for (const at of copies) copyBlocks({ tensor: out, step: times * E, at }, { tensor: x, step: E, at: 0 }, rows, E);
  if (recording([x])) {
    record([x], [out], ([d]) => {
      const dx = Tensor.empty(x.device, x.shape);
      for (const at of copies)
        copyBlocks({ tensor: dx, step: E, at: 0 }, { tensor: d as Tensor, step: times * E, at }, rows, E, at > 0);
      return [dx];
    });
  }
  return out;
}
