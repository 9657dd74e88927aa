/**
 * @file SCALE, the binary encoding of Substrate chains: the few types that commitments, weights and signed calls need.
 *
 * Integers are little-endian. A compact integer carries its size in the two low bits of the first byte.
 * Source: the SCALE codec page of the Polkadot documentation (docs.polkadot.com).
 */
import type { ByteReader, ByteWriter } from './bytes.ts';
import { type Codec, unencodable } from './codec.ts';

function smallInteger(bytes: 1 | 2 | 4): Codec<number> {
  const limit = 2 ** (8 * bytes);
  return {
    minBytes: bytes,
    write(value, to) {
      if (!Number.isInteger(value) || value < 0 || value >= limit) throw unencodable(`${value} is no u${8 * bytes}`);
      to.unsigned(value, bytes);
    },
    read: (from) => Number(from.unsigned(bytes)),
  };
}

function bigInteger(bytes: 8 | 16): Codec<bigint> {
  return {
    minBytes: bytes,
    write(value, to) {
      if (typeof value !== 'bigint' || value < 0n || value >> BigInt(8 * bytes) !== 0n) {
        throw unencodable(`${value} is no u${8 * bytes} (a bigint)`);
      }
      to.unsigned(value, bytes);
    },
    read: (from) => from.unsigned(bytes),
  };
}

export const u8: Codec<number> = smallInteger(1);
export const u16: Codec<number> = smallInteger(2);
export const u32: Codec<number> = smallInteger(4);
export const u64: Codec<bigint> = bigInteger(8);
export const u128: Codec<bigint> = bigInteger(16);

export const bool: Codec<boolean> = {
  minBytes: 1,
  write: (value, to) => void to.unsigned(value ? 1 : 0, 1),
  read(from) {
    const byte = from.u8();
    if (byte > 1) throw from.error(`${byte} is no bool`);
    return byte === 1;
  },
};

/** Up to 2^536 - 1. */
export const compact: Codec<bigint> = {
  minBytes: 1,
  write(value, to) {
    if (typeof value !== 'bigint' || value < 0n || value >> 536n !== 0n) throw unencodable(`${value} is no compact`);
    if (value < 1n << 6n) to.unsigned(value << 2n, 1);
    else if (value < 1n << 14n) to.unsigned((value << 2n) | 1n, 2);
    else if (value < 1n << 30n) to.unsigned((value << 2n) | 2n, 4);
    else {
      const bytes = Math.ceil(value.toString(16).length / 2);
      to.unsigned(((bytes - 4) << 2) | 3, 1).unsigned(value, bytes);
    }
  },
  read(from) {
    const first = from.u8();
    const mode = first & 3;
    if (mode === 0) return BigInt(first >> 2);
    const bytes = mode === 3 ? (first >> 2) + 4 : 2 ** mode - 1;
    const rest = from.unsigned(bytes);
    const value = mode === 3 ? rest : (rest << 6n) | BigInt(first >> 2);
    const shortest =
      mode === 3 ? (bytes === 4 ? 1n << 30n : 1n << BigInt(8 * (bytes - 1))) : mode === 1 ? 1n << 6n : 1n << 14n;
    if (value < shortest) throw from.error(`compact integer ${value} is not in its shortest form`);
    return value;
  },
};

/** The count in front of bytes, texts and vectors. */
function readCount(from: ByteReader, maximum: number, minBytes: number): number {
  const count = compact.read(from);
  if (count > BigInt(maximum)) throw from.error(`length ${count}, at most ${maximum} allowed`);
  if (Number(count) * minBytes > from.remaining) throw from.error(`length ${count}, but ${from.remaining} bytes left`);
  return Number(count);
}

function writeCount(count: number, maximum: number, to: ByteWriter): void {
  if (count > maximum) throw unencodable(`length ${count}, at most ${maximum} allowed`);
  compact.write(BigInt(count), to);
}

/** Bytes with their length in front. */
export function bytes(maxLength: number): Codec<Uint8Array> {
  return {
    minBytes: 1,
    write(value, to) {
      writeCount(value.length, maxLength, to);
      to.bytes(value);
    },
    read: (from) => from.take(readCount(from, maxLength, 1)),
  };
}

/** Bytes of a length that both sides know: hashes, keys. */
export function fixedBytes(length: number): Codec<Uint8Array> {
  return {
    minBytes: length,
    write(value, to) {
      if (value.length !== length) throw unencodable(`${value.length} bytes, expected ${length}`);
      to.bytes(value);
    },
    read: (from) => from.take(length),
  };
}

/** UTF-8 with its length in bytes in front. */
export function text(maxBytes: number): Codec<string> {
  const inner = bytes(maxBytes);
  return {
    minBytes: 1,
    write(value, to) {
      if (/\p{Surrogate}/u.test(value)) throw unencodable('the text is not well-formed Unicode');
      inner.write(new TextEncoder().encode(value), to);
    },
    read(from) {
      const utf8 = inner.read(from);
      try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(utf8);
      } catch {
        throw from.error('the text is not UTF-8');
      }
    },
  };
}

export function vector<T>(item: Codec<T>, maxLength: number): Codec<T[]> {
  return {
    minBytes: 1,
    write(value, to) {
      writeCount(value.length, maxLength, to);
      for (const each of value) item.write(each, to);
    },
    read(from) {
      const count = readCount(from, maxLength, item.minBytes);
      const out: T[] = [];
      for (let i = 0; i < count; i++) out.push(item.read(from));
      return out;
    },
  };
}

/** `null` is None. */
export function option<T>(inner: Codec<T>): Codec<T | null> {
  return {
    minBytes: 1,
    write(value, to) {
      bool.write(value !== null, to);
      if (value !== null) inner.write(value, to);
    },
    read: (from) => (bool.read(from) ? inner.read(from) : null),
  };
}

type Codecs<T> = { readonly [K in keyof T]: Codec<T[K]> };

export function tuple<T extends readonly unknown[]>(...items: Codecs<T>): Codec<T> {
  return {
    minBytes: items.reduce((sum, item) => sum + item.minBytes, 0),
    write(value, to) {
      if (value.length !== items.length) throw unencodable(`${value.length} items, expected ${items.length}`);
      for (const [i, item] of items.entries()) item.write(value[i], to);
    },
    read: (from) => items.map((item) => item.read(from)) as unknown as T,
  };
}

/** Fields in the order of the keys. */
export function struct<T extends object>(fields: Codecs<T>): Codec<T> {
  const entries = Object.entries(fields) as [keyof T & string, Codec<unknown>][];
  return {
    minBytes: entries.reduce((sum, [, codec]) => sum + codec.minBytes, 0),
    write(value, to) {
      for (const [name, codec] of entries) codec.write(value[name], to);
    },
    read: (from) => Object.fromEntries(entries.map(([name, codec]) => [name, codec.read(from)])) as T,
  };
}

/** No bytes: the content of an enum variant without fields. */
export const unit: Codec<null> = { minBytes: 0, write: () => {}, read: () => null };

type Variants = Record<string, readonly [index: number, content: Codec<unknown>]>;
type Variant<V extends Variants> = {
  [K in keyof V & string]: { type: K; value: V[K][1] extends Codec<infer T> ? T : never };
}[keyof V & string];

/** One of several, told apart by an index byte. */
export function enumeration<V extends Variants>(variants: V): Codec<Variant<V>> {
  const byIndex = new Map(Object.entries(variants).map(([type, [index, content]]) => [index, { type, content }]));
  return {
    minBytes: 1,
    write(value, to) {
      const variant = Object.hasOwn(variants, value.type) ? variants[value.type] : undefined;
      if (variant === undefined) throw unencodable(`no variant ${JSON.stringify(value.type)}`);
      u8.write(variant[0], to);
      variant[1].write(value.value, to);
    },
    read(from) {
      const index = from.u8();
      const variant = byIndex.get(index);
      if (variant === undefined) throw from.error(`no variant ${index}`);
      return { type: variant.type, value: variant.content.read(from) } as Variant<V>;
    },
  };
}
