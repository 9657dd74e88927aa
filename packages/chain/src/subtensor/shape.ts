/**
 * @file Whether bytes are exactly one value of a type, found out before anything is built from them.
 *
 * The codecs made from metadata trust their input: a vector is allocated as long as it says it is, bytes that are missing at
 * the end go unnoticed, and so do bytes that are too many. What a node sends is walked with this first.
 */
import type { EnumVar, LookupEntry, Var } from '@polkadot-api/metadata-builders';
import { ByteReader, compact } from '../scale/index.ts';

/** Text and what is compact have no fixed size. */
const PRIMITIVE_BYTES: Record<string, number | undefined> = {
  bool: 1,
  char: 4,
  ...Object.fromEntries([8, 16, 32, 64, 128, 256].flatMap((bits) => ['u', 'i'].map((kind) => [kind + bits, bits / 8]))),
};

/** Throws an `Error` that says where the bytes are not of this type. */
export function requireShape(type: LookupEntry, bytes: Uint8Array): void {
  const reader = new ByteReader(bytes, (why) => new Error(why));
  walk(type, reader);
  reader.end();
}

function walk(type: Var, from: ByteReader): void {
  const size = fixedBytes(type);
  if (size !== null) from.skip(size);
  else if (type.type === 'compact') compact.read(from);
  else if (type.type === 'primitive') from.skip(count(from));
  else if (type.type === 'bitSequence') from.skip(Math.ceil(count(from, 8) / 8));
  else if (type.type === 'sequence') walkMany(type.value, count(from), from);
  else if (type.type === 'array') walkMany(type.value, type.len, from);
  else if (type.type === 'option') choose(from, [null, type.value]);
  else if (type.type === 'result') choose(from, [type.value.ok, type.value.ko]);
  else if (type.type === 'enum') walkVariant(type, from);
  else if (type.type === 'tuple' || type.type === 'struct')
    for (const each of Object.values(type.value)) walk(each, from);
}

function walkVariant(type: EnumVar, from: ByteReader): void {
  if (type.byteLength !== undefined) {
    from.skip(type.byteLength);
    return;
  }
  const index = from.u8();
  const variant = Object.values(type.value).find(({ idx }) => idx === index);
  if (variant === undefined) throw from.error(`no variant ${index}`);
  walk(variant.type === 'lookupEntry' ? variant.value : variant, from);
}

function choose(from: ByteReader, options: (Var | null)[]): void {
  const chosen = options[from.u8()];
  if (chosen === undefined) throw from.error('no such choice');
  if (chosen !== null) walk(chosen, from);
}

function walkMany(item: Var, length: number, from: ByteReader): void {
  const size = fixedBytes(item);
  if (size !== null) from.skip(size * length);
  else for (let i = 0; i < length; i++) walk(item, from);
}

/** A length, which no value can have that has fewer bytes left. */
function count(from: ByteReader, perByte = 1): number {
  const length = compact.read(from);
  if (length > BigInt(from.remaining * perByte)) throw from.error(`length ${length}, but ${from.remaining} bytes left`);
  return Number(length);
}

function fixedBytes(type: Var): number | null {
  if (type.type === 'void') return 0;
  if (type.type === 'AccountId32') return 32;
  if (type.type === 'AccountId20') return 20;
  return type.type === 'primitive' ? (PRIMITIVE_BYTES[type.value] ?? null) : null;
}
