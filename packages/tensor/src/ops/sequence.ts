/** @file Ops along time: positions, short convolution. */
import { record, recording } from '../autograd.ts';
import type { Device } from '../device.ts';
import { ShapeError, Tensor } from '../tensor.ts';

/** Rows per chunk of slot attention and tokens per segment of latent memory, as compiled into their kernels. */
export const CHUNK = 64;

/**
 * Position of each token in its segment, [B, T]. A 0 starts a segment: recurrences reset their state there and
 * convolutions do not look across. In streaming, positions go on from block to block.
 */
export class Positions {
  readonly tensor: Tensor;
  readonly B: number;
  readonly T: number;
  #values: Int32Array;
  readonly #chunks = new Map<number, number>();
  #maxSegments = 0;

  constructor(device: Device, B: number, T: number, values: Int32Array) {
    this.tensor = Tensor.from(device, [B, T], values, 'int');
    this.#values = values;
    this.B = B;
    this.T = T;
  }

  /** Other positions of the same shape, as for the next block of a recorded step. @throws ShapeError */
  write(values: Int32Array): void {
    this.tensor.write(values);
    this.#values = values;
    this.#chunks.clear();
    this.#maxSegments = 0;
  }

  /** Chunks of the most divided row: chunks end every `length` tokens and at segment starts. */
  chunks(length: number): number {
    let most = this.#chunks.get(length) ?? 0;
    if (most > 0) return most;
    for (let b = 0; b < this.B; b++) {
      let chunks = 0;
      for (let t = 0, start = 0; t < this.T; t++) {
        if (t > 0 && t - start < length && this.#values[b * this.T + t] !== 0) continue;
        chunks++;
        start = t;
      }
      most = Math.max(most, chunks);
    }
    this.#chunks.set(length, most);
    return most;
  }

  /** Most tokens that a row has read of its last segment, with this block. */
  get longest(): number {
    let most = 0;
    for (let b = 1; b <= this.B; b++) most = Math.max(most, (this.#values[b * this.T - 1] as number) + 1);
    return most;
  }

  /** Pieces of the most divided row, cut wherever a position is a multiple of CHUNK. */
  get maxSegments(): number {
    if (this.#maxSegments === 0) {
      for (let b = 0; b < this.B; b++) {
        let pieces = 0;
        for (let t = 0; t < this.T; t++) {
          if (t === 0 || (this.#values[b * this.T + t] as number) % CHUNK === 0) pieces++;
        }
        this.#maxSegments = Math.max(this.#maxSegments, pieces);
      }
    }
    return this.#maxSegments;
  }
}

/** @throws ShapeError where positions belong to another batch */
export function checkPositions(op: string, positions: Positions | null, B: number, T: number): void {
  if (positions && (positions.B !== B || positions.T !== T))
    throw new ShapeError(`${op}: positions [${[positions.B, positions.T]}] for [${[B, T]}] tokens`);
}

/**
 * silu of a causal depthwise convolution: x [B, T, D], w [D, 1, W] -> y [B, T, D].
 * @param state the last W-1 inputs of the block before, [B, W-1, D], or null for zeros.
 * @returns `state` for the next block.
 */
export function shortConv(
  x: Tensor,
  w: Tensor,
  state: Tensor | null,
  positions: Positions | null,
): { y: Tensor; state: Tensor } {
  const [B, T, D] = x.shape as [number, number, number];
  const width = w.dim(-1);
  if (w.dim(0) !== D || width < 1) throw new ShapeError(`shortConv: weight [${w.shape}] for x [${x.shape}]`);
  checkPositions('shortConv', positions, B, T);
  const numbers = [B, T, D, width];
  const y = Tensor.empty(x.device, x.shape);
  const next = Tensor.empty(x.device, [B, width - 1, D]);
  const tail = [state?.buffer ?? null, positions?.tensor.buffer ?? null];
  x.device.run('short_conv', [y.buffer, next.buffer, x.buffer, w.buffer, ...tail], numbers);
  if (recording([x, w])) {
    record([x, w], [y], ([d]) => {
      const [dx, dw, work] = [
        Tensor.empty(x.device, x.shape),
        Tensor.empty(x.device, w.shape),
        Tensor.empty(x.device, [B * Math.ceil(T / 64), 4 * Math.ceil(width / 4), D]), // as in kernels/sequence.c
      ];
      const buffers = [dx.buffer, dw.buffer, x.buffer, w.buffer, ...tail, (d as Tensor).buffer, work.buffer];
      x.device.run('short_conv_backward', buffers, numbers);
      return [dx, dw];
    });
  }
  return { y, state: next };
}
