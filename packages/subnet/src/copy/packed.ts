/** @file Numbers as short text, for records that are written to a log once and compared often. */
import { decodeTensor, toBf16 } from '@quasar/model';

/** To BF16, what weights are published in: exact for them. */
export function packBf16(values: ArrayLike<number>): string {
  return toBase64(toBf16(Float32Array.from(values)));
}

export function unpackBf16(text: string): Float32Array {
  return decodeTensor(Buffer.from(text, 'base64'), 'BF16');
}

/** Vectors of one width by their directions: each in steps of 1/32767 of its largest value. Zeros stay zeros. */
export function packDirections(vectors: readonly ArrayLike<number>[]): string {
  const all = vectors.flatMap((vector) => {
    const values = Array.from(vector);
    const largest = Math.max(...values.map(Math.abs));
    return values.map((value) => (largest > 0 ? Math.round((value / largest) * 32767) : 0));
  });
  return toBase64(Int16Array.from(all));
}

/** Of unit length, or zero. */
export function unpackDirections(text: string, width: number): Float64Array[] {
  const steps = new Int16Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);
  return Array.from({ length: steps.length / width }, (_, i) => {
    const vector = steps.subarray(i * width, (i + 1) * width);
    const norm = Math.hypot(...vector);
    return Float64Array.from(vector, (step) => (norm > 0 ? step / norm : 0));
  });
}

export function packIds(ids: ArrayLike<number>): string {
  return toBase64(Uint32Array.from(ids));
}

export function unpackIds(text: string): Uint32Array {
  return new Uint32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);
}

/** Probabilities by their square roots: small ones keep their relative precision. */
export function packProbabilities(probabilities: ArrayLike<number>): string {
  return toBase64(Uint16Array.from(probabilities, (p) => Math.round(Math.sqrt(Math.min(1, Math.max(0, p))) * 65535)));
}

export function unpackProbabilities(text: string): Float64Array {
  return Float64Array.from(
    new Uint16Array(new Uint8Array(Buffer.from(text, 'base64')).buffer),
    (u) => (u / 65535) ** 2,
  );
}

function toBase64(values: Int16Array | Uint16Array | Uint32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
}
