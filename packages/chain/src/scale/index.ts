/** @file SCALE codecs with bounds, and a strict decoder. */
export { ByteReader, ByteWriter } from './bytes.ts';
export { type Codec, scaleDecode, scaleEncode } from './codec.ts';
export {
  bool,
  bytes,
  compact,
  enumeration,
  fixedBytes,
  option,
  struct,
  text,
  tuple,
  u8,
  u16,
  u32,
  u64,
  u128,
  unit,
  vector,
} from './codecs.ts';
