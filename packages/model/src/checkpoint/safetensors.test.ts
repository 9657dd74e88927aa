/** @file Safetensors: what is written is read back, number formats, and properties of any header. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { headerLength, readSafetensorsHeader, type SafetensorsHeader, writeSafetensors } from './safetensors.ts';
import { decodeIntegers, decodeTensor, encodeIntegers, toBf16 } from './tensor-bytes.ts';

function header(file: Uint8Array): SafetensorsHeader {
  const result = readSafetensorsHeader(file, file.length);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.value;
}

const float = fc.float({ noNaN: false });
const name = fc.stringMatching(/^[a-z][a-z0-9._]{0,20}$/);
const tensor = fc
  .tuple(
    fc.array(fc.nat(3), { maxLength: 3 }),
    fc.constantFrom('F32' as const, 'BF16' as const),
    fc.infiniteStream(float),
  )
  .map(([shape, dtype, stream]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return { shape, dtype, values: Float32Array.from({ length: size }, () => stream.next().value as number) };
  });

describe('round trip', () => {
  it('any tensors and metadata; BF16 keeps the upper half of each float', () => {
    const tensors = fc.uniqueArray(fc.tuple(name, tensor), { selector: ([n]) => n, maxLength: 6 });
    fc.assert(
      fc.property(tensors, fc.dictionary(fc.string(), fc.string()), (list, metadata) => {
        const file = writeSafetensors(new Map(list), metadata);
        const read = header(file);
        expect(read.headerBytes % 8).toBe(0);
        expect({ ...read.metadata }).toEqual({ ...metadata });
        expect([...read.tensors.keys()]).toEqual(list.map(([n]) => n));
        for (const [n, { shape, dtype, values }] of list) {
          const entry = read.tensors.get(n);
          expect(entry).toMatchObject({ shape, dtype });
          const bytes = file.subarray(entry?.start, entry?.end);
          const expected = dtype === 'F32' ? values : decodeTensor(new Uint8Array(toBf16(values).buffer), 'BF16');
          expect(decodeTensor(bytes, dtype)).toEqual(expected);
        }
      }),
    );
  });

  it('a file of nothing', () => {
    const file = writeSafetensors(new Map());
    expect(header(file)).toEqual({ headerBytes: 16, tensors: new Map(), metadata: {} });
  });

  it('values that do not fill their shape are refused', () => {
    const tensors = new Map([['a', { shape: [3], dtype: 'F32' as const, values: new Float32Array(2) }]]);
    expect(() => writeSafetensors(tensors)).toThrow(expect.objectContaining({ code: 'checkpoint.size' }));
  });
});

describe('number formats', () => {
  it('bfloat16 rounds to nearest, ties to even, and keeps what is special', () => {
    const next = 1 + 2 ** -7;
    const given = [1, -2.5, 1 + 2 ** -8, next + 2 ** -8, 1 + 2 ** -8 + 2 ** -20, 3e38, Infinity, -Infinity, -0, 1e-45];
    const back = decodeTensor(new Uint8Array(toBf16(Float32Array.from(given)).buffer), 'BF16');
    expect([...back.subarray(0, 5)]).toEqual([1, -2.5, 1, 1 + 2 ** -6, next]);
    expect(back[5]).toBeCloseTo(3e38, -36);
    expect([...back.subarray(6)]).toEqual([Infinity, -Infinity, -0, 0]);
    expect(toBf16(Float32Array.of(3.4e38))).toEqual(Uint16Array.of(0x7f80));
    // A NaN whose set bits all lie in the lower half must not become an infinity.
    const nan = new Float32Array(Uint32Array.of(0x7f800001, 0xffffffff).buffer);
    expect([...decodeTensor(new Uint8Array(toBf16(nan).buffer), 'BF16')]).toEqual([Number.NaN, Number.NaN]);
  });

  it('bfloat16 is the nearest of its neighbours', () => {
    fc.assert(
      fc.property(
        fc.float({ noNaN: true, noDefaultInfinity: true, max: Math.fround(1e38), min: Math.fround(-1e38) }),
        (x) => {
          const [bits] = toBf16(Float32Array.of(x)) as unknown as [number];
          const at = (b: number) => decodeTensor(new Uint8Array(Uint16Array.of(b).buffer), 'BF16')[0] as number;
          const distance = Math.abs(at(bits) - x);
          for (const neighbour of [bits - 1, bits + 1])
            if ((neighbour & 0x7fff) < 0x7f80 && neighbour >= 0)
              expect(distance).toBeLessThanOrEqual(Math.abs(at(neighbour) - x));
        },
      ),
    );
  });

  it('half precision', () => {
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x8000, 0x7c00, 0xfc00, 0x7e00);
    const values = [1, -2, 65504, 2 ** -24, 2 ** -14, -0, Infinity, -Infinity, Number.NaN];
    expect([...decodeTensor(new Uint8Array(bits.buffer), 'F16')]).toEqual(values);
  });

  it('reads a window of a larger buffer, aligned or not', () => {
    for (const offset of [0, 1, 3, 8]) {
      const whole = Buffer.alloc(32, 0xff);
      whole.writeFloatLE(1.5, offset);
      whole.writeFloatLE(-2, offset + 4);
      expect([...decodeTensor(whole.subarray(offset, offset + 8), 'F32')]).toEqual([1.5, -2]);
    }
  });

  it('integers of 64 bits that 32 bits hold, and no others', () => {
    const values = Int32Array.of(0, 1, -1, 2 ** 31 - 1, -(2 ** 31));
    expect(encodeIntegers(values).length).toBe(8 * values.length);
    expect(decodeIntegers(encodeIntegers(values))).toEqual(values);
    for (const beyond of [2n ** 31n, -(2n ** 31n) - 1n, 2n ** 63n - 1n]) {
      const bytes = new Uint8Array(BigInt64Array.of(7n, beyond).buffer);
      expect(() => decodeIntegers(bytes)).toThrow(expect.objectContaining({ code: 'checkpoint.integer_range' }));
    }
  });

  it('another dtype, or bytes that are no whole number of values', () => {
    for (const dtype of ['I64', 'constructor', '__proto__'])
      expect(() => decodeTensor(new Uint8Array(8), dtype)).toThrow(
        expect.objectContaining({ code: 'checkpoint.dtype' }),
      );
    expect(() => decodeTensor(new Uint8Array(6), 'F32')).toThrow(expect.objectContaining({ code: 'checkpoint.size' }));
  });
});

describe('any bytes', () => {
  const fileOf = (json: string) => {
    const text = Buffer.from(json);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    return Buffer.concat([length, text]);
  };
  const refused = (bytes: Uint8Array, size: number) => {
    const length = headerLength(bytes, size);
    const result = readSafetensorsHeader(bytes, size);
    if (result.ok) return false;
    expect(length.ok || result.issues).toBeTruthy();
    expect(result.issues.length).toBeGreaterThan(0);
    for (const { code, message } of result.issues) {
      expect(code).toMatch(/^checkpoint\./);
      expect(message.length).toBeLessThan(300);
    }
    return true;
  };

  it('give issues, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(1000), (bytes, size) => refused(bytes, size) || true),
    );
    fc.assert(fc.property(fc.string(), (text) => refused(fileOf(`{${text}`), 8 + 1 + Buffer.byteLength(text)) || true));
    const entry = fc.record({
      dtype: fc.oneof(fc.constantFrom('F32', 'BF16', 'constructor', '__proto__', 'toString'), fc.jsonValue()),
      shape: fc.oneof(fc.array(fc.oneof(fc.nat(4), fc.double(), fc.maxSafeInteger())), fc.jsonValue()),
      data_offsets: fc.oneof(fc.tuple(fc.nat(40), fc.nat(40)), fc.jsonValue()),
    });
    const names = fc.constantFrom('a', 'b', '__proto__', '__metadata__', 'constructor', '', 'ü');
    fc.assert(
      fc.property(fc.dictionary(names, fc.oneof(entry, fc.jsonValue())), fc.nat(60), (json, dataBytes) => {
        const file = fileOf(JSON.stringify(json));
        refused(file, file.length + dataBytes);
      }),
    );
  });

  it('one damaged byte of a good header is refused or changes only names, dtypes and numbers that still fit', () => {
    const values = new Float32Array(4);
    const good = writeSafetensors(
      new Map([
        ['x', { shape: [2, 2], dtype: 'F32', values }],
        ['y', { shape: [4], dtype: 'BF16', values }],
      ]),
    );
    const { headerBytes } = header(good);
    fc.assert(
      fc.property(fc.nat(headerBytes - 1), fc.nat(255), (at, byte) => {
        const damaged = good.slice();
        damaged[at] = byte;
        const result = readSafetensorsHeader(damaged, damaged.length);
        if (!result.ok) return;
        const bytes = [...result.value.tensors.values()].reduce((sum, { start, end }) => sum + end - start, 0);
        expect(result.value.headerBytes + bytes).toBe(good.length);
      }),
      { numRuns: 500 },
    );
  });
});
