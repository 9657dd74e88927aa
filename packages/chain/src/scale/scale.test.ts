import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bool,
  bytes,
  type Codec,
  compact,
  enumeration,
  fixedBytes,
  option,
  scaleDecode,
  scaleEncode,
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
} from './index.ts';

const invalid = expect.objectContaining({ code: 'chain.scale_invalid' });
const hex = <T>(codec: Codec<T>, value: T) => bytesToHex(scaleEncode(codec, value));

/** From the documentation of SCALE, and by hand from its rules. */
describe('encodings', () => {
  it('of integers', () => {
    expect(hex(u8, 69)).toBe('45');
    expect(hex(u16, 42)).toBe('2a00');
    expect(hex(u32, 16777215)).toBe('ffffff00');
    expect(hex(u64, 2n ** 63n + 1n)).toBe('0100000000000080');
    expect(hex(u128, 1n)).toBe(`01${'00'.repeat(15)}`);
    expect(hex(bool, true)).toBe('01');
  });

  it.each([
    [0n, '00'],
    [1n, '04'],
    [42n, 'a8'],
    [63n, 'fc'],
    [64n, '0101'],
    [69n, '1501'],
    [16383n, 'fdff'],
    [16384n, '02000100'],
    [65535n, 'feff0300'],
    [2n ** 30n - 1n, 'feffffff'],
    [2n ** 30n, '0300000040'],
    [2n ** 32n - 1n, '03ffffffff'],
    [2n ** 32n, '070000000001'],
    [100000000000000n, '0b00407a10f35a'],
    [2n ** 64n - 1n, '13ffffffffffffffff'],
  ])('of the compact integer %s', (value, encoded) => {
    expect(hex(compact, value)).toBe(encoded);
    expect(scaleDecode(compact, hexToBytes(encoded))).toBe(value);
  });

  it('of what holds others', () => {
    expect(hex(vector(u16, 9), [4, 8, 15, 16, 23, 42])).toBe('18040008000f00100017002a00');
    expect(hex(tuple(compact, bool), [3n, false])).toBe('0c00');
    expect(hex(struct({ a: u8, b: u16 }), { b: 2, a: 1 })).toBe('010200');
    expect(hex(option(u8), 1)).toBe('0101');
    expect(hex(option(u8), null)).toBe('00');
    expect(hex(text(9), 'Ää')).toBe('10c384c3a4');
    expect(hex(enumeration({ Int: [0, u8], Bool: [1, bool] }), { type: 'Int', value: 42 })).toBe('002a');
    expect(hex(enumeration({ Int: [0, u8], Bool: [7, bool] }), { type: 'Bool', value: true })).toBe('0701');
  });

  it('refuse values out of range', () => {
    for (const value of [-1, 256, 1.5, Number.NaN]) expect(() => scaleEncode(u8, value)).toThrow(invalid);
    for (const value of [-1n, 2n ** 64n]) expect(() => scaleEncode(u64, value)).toThrow(invalid);
    for (const value of [-1n, 2n ** 536n]) expect(() => scaleEncode(compact, value)).toThrow(invalid);
    expect(() => scaleEncode(bytes(2), new Uint8Array(3))).toThrow(invalid);
    expect(() => scaleEncode(fixedBytes(2), new Uint8Array(3))).toThrow(invalid);
    expect(() => scaleEncode(vector(u8, 2), [1, 2, 3])).toThrow(invalid);
    expect(() => scaleEncode(text(2), 'abc')).toThrow(invalid);
    expect(() => scaleEncode(text(9), '\ud800')).toThrow(invalid);
    const variants = enumeration({ A: [0, unit] });
    for (const type of ['B', 'toString', '__proto__']) {
      expect(() => scaleEncode(variants, { type, value: null } as never)).toThrow(invalid);
    }
  });
});

describe('strict decoding', () => {
  const refuses = <T>(codec: Codec<T>, encoded: string) =>
    expect(() => scaleDecode(codec, hexToBytes(encoded)), encoded).toThrow(invalid);

  it('takes no second form of a compact integer', () => {
    for (const encoded of [
      '0100',
      'fd00',
      '02000000',
      'feff0000',
      '03ffffff3f',
      '0700000040',
      '070000004000',
      '0b000000000000',
    ]) {
      refuses(compact, encoded);
    }
  });

  it('takes no byte too few or too many', () => {
    for (const encoded of ['', '01', '010203']) refuses(u16, encoded);
    for (const encoded of ['', '01', '02ffff', '03ffffff', 'ff', '0000']) refuses(compact, encoded);
    refuses(bytes(9), '0801');
    refuses(vector(u16, 9), '0801000200ff');
  });

  it('takes no bool but 0 and 1, no text but UTF-8, no unknown variant', () => {
    refuses(bool, '02');
    refuses(option(u8), '0201');
    refuses(text(9), '04ff');
    refuses(enumeration({ A: [1, unit] }), '00');
  });

  it('reads a view into a larger buffer', () => {
    const buffer = Buffer.concat([Buffer.alloc(3), hexToBytes('0c010203'), Buffer.alloc(3)]);
    const value = scaleDecode(bytes(9), buffer.subarray(3, 7));
    expect(value).toEqual(Uint8Array.of(1, 2, 3));
    buffer.fill(9);
    expect(value).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('believes no length before it has seen the bytes', () => {
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    for (const length of [2n ** 20n, 2n ** 30n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 64n, 2n ** 500n]) {
      const encoded = concatBytes(scaleEncode(compact, length), new Uint8Array(64));
      const huge = Number.MAX_SAFE_INTEGER;
      for (const codec of [
        bytes(huge),
        text(huge),
        vector(u8, huge),
        vector(vector(u8, huge), huge),
      ] as Codec<unknown>[]) {
        expect(() => scaleDecode(codec, encoded)).toThrow(invalid);
      }
      expect(() => scaleDecode(vector(unit, 4096), encoded)).toThrow(invalid);
    }
    expect(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before).toBeLessThan(2 ** 26);
  });
});

/** A codec of every kind, with values for it. */
const kinds: Record<string, [Codec<unknown>, fc.Arbitrary<unknown>]> = {
  u8: [u8, fc.integer({ min: 0, max: 255 })],
  u16: [u16, fc.integer({ min: 0, max: 65535 })],
  u32: [u32, fc.integer({ min: 0, max: 2 ** 32 - 1 })],
  u64: [u64, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })],
  u128: [u128, fc.bigInt({ min: 0n, max: 2n ** 128n - 1n })],
  bool: [bool, fc.boolean()],
  compact: [compact, fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 34n }), fc.bigInt({ min: 0n, max: 2n ** 536n - 1n }))],
  bytes: [bytes(300), fc.uint8Array({ maxLength: 300 })],
  fixedBytes: [fixedBytes(32), fc.uint8Array({ minLength: 32, maxLength: 32 })],
  text: [text(300), fc.string({ unit: 'binary', maxLength: 70 })],
  vector: [vector(u16, 300), fc.array(fc.integer({ min: 0, max: 65535 }), { maxLength: 300 })],
  nested: [
    vector(vector(text(40), 9), 9),
    fc.array(fc.array(fc.string({ maxLength: 10 }), { maxLength: 9 }), { maxLength: 9 }),
  ],
  tuple: [tuple(u8, compact, bool), fc.tuple(fc.nat(255), fc.bigInt({ min: 0n, max: 2n ** 70n }), fc.boolean())],
  struct: [struct({ a: u16, b: option(u8) }), fc.record({ a: fc.nat(65535), b: fc.option(fc.nat(255)) })],
  option: [option(u64), fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))],
  enumeration: [
    enumeration({ A: [0, unit], B: [3, u8], C: [255, bytes(9)] }),
    fc.oneof(
      fc.constant({ type: 'A', value: null }),
      fc.record({ type: fc.constant('B'), value: fc.nat(255) }),
      fc.record({ type: fc.constant('C'), value: fc.uint8Array({ maxLength: 9 }) }),
    ),
  ],
};

/** Bytes with some overwritten, some cut out and some put in. */
function mutated(from: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc.tuple(from, fc.nat(), fc.nat(6), fc.uint8Array({ maxLength: 6 })).map(([original, at, remove, insert]) => {
    const start = at % (original.length + 1);
    return concatBytes(original.subarray(0, start), insert, original.subarray(start + remove));
  });
}

describe.each(Object.entries(kinds))('%s', (_, [codec, values]) => {
  it('round trips', () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(scaleDecode(codec, scaleEncode(codec, value))).toEqual(value);
      }),
    );
  });

  it('of any bytes is refused, or encodes to those bytes again', () => {
    const encodings = values.map((value) => scaleEncode(codec, value));
    fc.assert(
      fc.property(fc.oneof(mutated(encodings), fc.uint8Array({ maxLength: 80 })), (any) => {
        let value: unknown;
        try {
          value = scaleDecode(codec, any);
        } catch (error) {
          expect(error).toEqual(invalid);
          return;
        }
        expect(scaleEncode(codec, value)).toEqual(any);
      }),
      { numRuns: 300 },
    );
  });
});
