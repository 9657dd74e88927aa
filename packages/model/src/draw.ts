/**
 * @file Numbers of fresh weights, fast: a 3B model in well under a minute. A tensor is drawn in pieces, each from a stream of
 * its own, so that any piece can be made without the ones before it and no tensor depends on another.
 * Generator: sfc32 (Doty-Humphrey, PractRand). Normal numbers: ziggurat of 256 layers (Marsaglia and Tsang 2000) with
 * separate bits for the layer and the place in it (Doornik 2005).
 */
import type { Rng } from '@quasar/base';
import { sizeOf } from '@quasar/tensor';
import { orthogonalRows } from './orthogonal.ts';
import type { Init, TensorSpec } from './tensor-table.ts';

export const PIECE_NUMBERS = 2 ** 20;

/** The values of a tensor in order, in pieces of `PIECE_NUMBERS`; `rng` names the tensor. */
export function* drawTensor(
  { shape, init }: Pick<TensorSpec, 'shape' | 'init'>,
  rng: Rng,
): Generator<Float32Array | Int32Array> {
  const size = sizeOf(shape);
  if (init.kind === 'values') yield Float32Array.from(init.values);
  else if (init.kind === 'orthogonal') {
    const width = shape.at(-1) ?? 1;
    yield Float32Array.from(orthogonalRows(size / width, width, rng));
  } else
    for (let at = 0; at < size; at += PIECE_NUMBERS) {
      const length = Math.min(PIECE_NUMBERS, size - at);
      if (init.kind === 'integers') yield Int32Array.from({ length }, (_, i) => init.value(at + i));
      else yield drawPiece(init, rng.fork(at / PIECE_NUMBERS).state(), length);
    }
}

/** All values of a tensor, as `drawTensor` gives them. */
export function initialValues(shape: number[], init: Init, rng: Rng): Float32Array | Int32Array {
  const size = sizeOf(shape);
  const out = init.kind === 'integers' ? new Int32Array(size) : new Float32Array(size);
  let at = 0;
  for (const piece of drawTensor({ shape, init }, rng)) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

type DrawnInit = Exclude<Init, { kind: 'values' | 'orthogonal' | 'integers' }>;

function drawPiece(init: DrawnInit, seed: readonly number[], length: number): Float32Array {
  const out = new Float32Array(length);
  switch (init.kind) {
    case 'constant':
      return out.fill(init.value);
    case 'normal':
      return drawNormal(seed, init.std, out);
    case 'uniform':
      return drawUniform(seed, (u) => (2 * u - 1) * init.bound, out);
    case 'logUniform':
      return drawUniform(seed, (u) => Math.log(init.low + u * (init.high - init.low)), out);
    case 'inverseSoftplus':
      return drawUniform(seed, (u) => Math.log(Math.expm1(init.low * (init.high / init.low) ** u)), out);
  }
}

/** `of` uniform numbers in [0, 1). */
function drawUniform(seed: readonly number[], of: (u: number) => number, out: Float32Array): Float32Array {
  let [a, b, c, d] = seed as [number, number, number, number];
  for (let i = 0; i < out.length; i++) {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    out[i] = of((t >>> 0) * 2 ** -32);
  }
  return out;
}

const LAYERS = 256;
/** Where the tail begins, and the area of each layer. */
const [TAIL, AREA] = [3.6541528853610088, 0.00492867323399];
/** Width of each layer, from the widest (which stands for the tail too) to nothing, and the density there. */
const widths = new Float64Array(LAYERS + 1);
const densities = new Float64Array(LAYERS + 1);
/** Places of 23 bits that lie inside for sure, and the size of one. */
const inside = new Int32Array(LAYERS);
const units = new Float64Array(LAYERS);
widths[0] = AREA / Math.exp(-0.5 * TAIL * TAIL);
widths[1] = TAIL;
for (let i = 2; i < LAYERS; i++) {
  const x = widths[i - 1] as number;
  widths[i] = Math.sqrt(-2 * Math.log(AREA / x + Math.exp(-0.5 * x * x)));
}
for (let i = 0; i <= LAYERS; i++) densities[i] = Math.exp(-0.5 * (widths[i] as number) ** 2);
for (let i = 0; i < LAYERS; i++) {
  inside[i] = Math.floor(((widths[i + 1] as number) / (widths[i] as number)) * 2 ** 23);
  units[i] = (widths[i] as number) / 2 ** 23;
}

function drawNormal(seed: readonly number[], std: number, out: Float32Array): Float32Array {
  let [a, b, c, d] = seed as [number, number, number, number];
  for (let i = 0; i < out.length; ) {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    const layer = t & 255;
    const place = t >> 8;
    if ((place ^ (place >> 31)) < (inside[layer] as number)) {
      out[i++] = place * (units[layer] as number) * std;
      continue;
    }
    // One in a hundred: two more numbers decide. A miss in the tail is another try in the tail.
    let x: number | null;
    do {
      const u = (((a + b) | 0) + d) | 0;
      d = (d + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = (((c << 21) | (c >>> 11)) + u) | 0;
      const v = (((a + b) | 0) + d) | 0;
      d = (d + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = (((c << 21) | (c >>> 11)) + v) | 0;
      x = outside(layer, place, (u >>> 0) * 2 ** -32, (v >>> 0) * 2 ** -32);
    } while (x === null && layer === 0);
    if (x !== null) out[i++] = x * std;
  }
  return out;
}

/** A number at the rim of a layer or in the tail, or null for another try. */
function outside(layer: number, place: number, u: number, v: number): number | null {
  if (layer === 0) {
    const x = -Math.log(1 - u) / TAIL;
    if (-2 * Math.log(1 - v) < x * x) return null;
    return place < 0 ? -(TAIL + x) : TAIL + x;
  }
  const x = place * (units[layer] as number);
  const [low, high] = [densities[layer] as number, densities[layer + 1] as number];
  return low + u * (high - low) < Math.exp(-0.5 * x * x) ? x : null;
}
