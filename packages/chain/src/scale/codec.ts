/** @file What a SCALE codec is, and the two ways in: strict decoding of untrusted bytes, checked encoding. */
import { QuasarError } from '@quasar/base';
import { ByteReader, ByteWriter } from './bytes.ts';

/** How values of type `T` are laid out. Combine codecs; call them through `scaleEncode` and `scaleDecode`. */
export interface Codec<T> {
  /** Length of the shortest encoding: how many values `n` bytes can hold at most. */
  readonly minBytes: number;
  write(value: T, to: ByteWriter): void;
  read(from: ByteReader): T;
}

const invalid = (what: string) => (why: string) => new QuasarError('chain.scale_invalid', `${what}: ${why}`);

/** A value that its codec cannot hold. */
export function unencodable(why: string): QuasarError {
  return invalid('not encodable as SCALE')(why);
}

/** Throws `chain.scale_invalid` for a value outside the codec's range. */
export function scaleEncode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new ByteWriter();
  codec.write(value, writer);
  return writer.result();
}

/**
 * The one value that `bytes` encode. Throws `chain.scale_invalid` unless they are exactly what `scaleEncode` gives for it:
 * no byte too few or too many, only the shortest form of a length.
 */
export function scaleDecode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const reader = new ByteReader(bytes, invalid('not the expected SCALE bytes'));
  const value = codec.read(reader);
  reader.end();
  return value;
}
