/** @file A corpus of bad safetensors files: each is refused with its own code, quickly, and without an exception. */
import { describe, expect, it } from 'vitest';
import { duplicateKey, nestingDepth } from './header-json.ts';
import { MAX_HEADER_BYTES, readSafetensorsHeader } from './safetensors.ts';

/** A file with this header and so many bytes of data; `length` overrides the declared header length. */
function file(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const json = Buffer.from(header);
  const first = Buffer.alloc(8);
  first.writeBigUInt64LE(length ?? BigInt(json.length));
  return Buffer.concat([first, json, Buffer.alloc(dataBytes)]);
}

const entry = (dtype: unknown, shape: unknown, data_offsets: unknown, more: object = {}) =>
  JSON.stringify({ dtype, shape, data_offsets, ...more });
const one = (of: string) => `{"a":${of}}`;
const f32 = entry('F32', [2], [0, 8]);

const CORPUS: [name: string, bytes: Uint8Array, codes: string[]][] = [
  ['empty file', new Uint8Array(0), ['truncated']],
  ['seven bytes', new Uint8Array(7), ['truncated']],
  ['a header of no bytes', file(''), ['header_json']],
  ['header longer than the file', file(one(f32), 0, 4096n), ['truncated']],
  ['header of 2^64 - 1 bytes', file(one(f32), 8, 2n ** 64n - 1n), ['header_too_large']],
  ['header one byte above the limit', file(one(f32), 8, BigInt(MAX_HEADER_BYTES) + 1n), ['header_too_large']],
  ['header cut short', file(one(f32), 8, BigInt(one(f32).length - 1)), ['header_json']],
  ['not UTF-8', file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), ['header_encoding']],
  ['UTF-16', file(Buffer.from('{}', 'utf16le')), ['header_json']],
  ['byte order mark', file(`\ufeff${one(f32)}`, 8), ['header_json']],
  ['a list', file('[]'), ['header_json']],
  ['null', file('null'), ['header_json']],
  ['space before the object', file(` ${one(f32)}`, 8), ['header_json']],
  ['two objects', file(`${one(f32)}{}`, 8), ['header_json']],
  ['trailing comma', file(`{"a":${f32},}`, 8), ['header_json']],
  ['pickle', file(Buffer.from('\x80\x04\x95\x00\x00\x00', 'latin1')), ['header_encoding']],
  ['deep lists', file(one('['.repeat(1e6) + ']'.repeat(1e6))), ['header_depth']],
  ['deep objects', file(`${'{"a":'.repeat(5e5)}1${'}'.repeat(5e5)}`), ['header_depth']],
  ['deep lists that never close', file(`{"a":${'['.repeat(1e6)}`), ['header_depth']],
  ['a key twice', file(`{"a":${f32},"a":${f32}}`, 8), ['duplicate_key']],
  ['a key twice, one escaped', file(`{"a":${f32},"\\u0061":${f32}}`, 8), ['duplicate_key']],
  [
    'a key twice, far from its colon',
    file(`{"a"${' '.repeat(99)}:${f32},"a"${' '.repeat(99)}:${f32}}`, 8),
    ['duplicate_key'],
  ],
  [
    'offsets twice in an entry',
    file(one(`{"dtype":"F32","shape":[0],"data_offsets":[0,8],"data_offsets":[0,0]}`)),
    ['duplicate_key'],
  ],
  ['metadata twice', file(`{"__metadata__":{},"__metadata__":{}}`), ['duplicate_key']],
  ['metadata that is text', file('{"__metadata__":"x"}'), ['metadata']],
  ['metadata with a number', file('{"__metadata__":{"a":1}}'), ['metadata']],
  ['metadata that is a list', file('{"__metadata__":["a"]}'), ['metadata']],
  ['metadata that is null', file('{"__metadata__":null}'), ['metadata']],
  ['an entry that is null', file('{"a":null}'), ['entry']],
  ['an entry that is a list', file('{"a":[]}'), ['entry']],
  ['no shape', file(one('{"dtype":"F32","data_offsets":[0,8]}'), 8), ['entry']],
  ['a field too many', file(one(entry('F32', [2], [0, 8], { strides: [1] })), 8), ['entry']],
  ['dtype that is a number', file(one(entry(32, [2], [0, 8])), 8), ['entry']],
  ['negative extent', file(one(entry('F32', [-2], [0, 8])), 8), ['shape']],
  ['fractional extent', file(one(entry('F32', [1.5], [0, 6])), 6), ['shape']],
  ['extent as text', file(one(entry('F32', ['2'], [0, 8])), 8), ['shape']],
  ['extent above 2^53', file(one('{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,8]}'), 8), ['shape']],
  ['extent 1e999', file(one('{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}'), 8), ['shape']],
  ['nine axes', file(one(entry('F32', [1, 1, 1, 1, 1, 1, 1, 1, 2], [0, 8])), 8), ['shape']],
  ['negative offset', file(one(entry('F32', [2], [-8, 0])), 8), ['offsets']],
  ['fractional offset', file(one(entry('F32', [2], [0.5, 8.5])), 9), ['offsets']],
  ['one offset', file(one(entry('F32', [2], [0])), 8), ['offsets']],
  ['three offsets', file(one(entry('F32', [2], [0, 8, 8])), 8), ['offsets']],
  ['unknown dtype', file(one(entry('F64', [1], [0, 8])), 8), ['dtype']],
  ['integers', file(one(entry('I64', [1], [0, 8])), 8), ['dtype']],
  ['dtype named like a method', file(one(entry('constructor', [1], [0, 4])), 4), ['dtype']],
  ['dtype __proto__', file(one(entry('__proto__', [1], [0, 4])), 4), ['dtype']],
  ['end before start', file(one(entry('F32', [2], [8, 0])), 8), ['size']],
  ['too few bytes for the shape', file(one(entry('F32', [3], [0, 8])), 8), ['size']],
  ['too many bytes for the shape', file(one(entry('BF16', [2], [0, 8])), 8), ['size']],
  ['product beyond 2^64', file(one(entry('F32', [2 ** 32, 2 ** 32, 4], [0, 8])), 8), ['size']],
  ['product that rounds to the size', file(one(entry('BF16', [2 ** 30 + 1, 2 ** 23], [0, 2 ** 53]))), ['offsets']],
  ['overlap', file(`{"a":${f32},"b":${entry('F32', [2], [4, 12])}}`, 12), ['offset_overlap']],
  ['two names for the same bytes', file(`{"a":${f32},"b":${f32}}`, 8), ['offset_overlap']],
  ['hole', file(`{"a":${f32},"b":${entry('F32', [2], [12, 20])}}`, 20), ['offset_hole']],
  ['hole at the start', file(one(entry('F32', [2], [8, 16])), 16), ['offset_hole']],
  ['data cut short', file(one(f32), 7), ['truncated']],
  ['data beyond the file', file(one(entry('F32', [2 ** 40], [0, 2 ** 42])), 8), ['truncated']],
  ['trailing bytes', file(one(f32), 9), ['trailing_bytes']],
  ['data without a tensor', file('{}', 4), ['trailing_bytes']],
  ['empty name', file(`{"":${f32}}`, 8), ['name']],
  ['name of a kilobyte', file(`{"${'n'.repeat(1024)}":${f32}}`, 8), ['name']],
  ['name with an escape sequence', file(`{"\\u001b[2J":${f32}}`, 8), ['name']],
  ['name of 3 MiB', file(`{"${'n'.repeat(3 * 2 ** 20)}":1}`), ['name']],
  ['3 MiB of escapes', file(`{"${'\\n'.repeat(1.5 * 2 ** 20)}":1}`), ['name']],
  ['too many tensors', file(`{${Array.from({ length: 70_000 }, (_, i) => `"${i}":1`).join()}}`), ['too_many_tensors']],
  [
    'several mistakes',
    file(`{"a":1,"b":${entry('F64', [1], [0, 8])},"c":${entry('F32', [3], [0, 8])}}`, 8),
    ['entry', 'dtype', 'size'],
  ],
];

it.each(CORPUS)('%s', (_, bytes, codes) => {
  const result = readSafetensorsHeader(bytes, bytes.length);
  expect(result.ok ? [] : result.issues.map(({ code }) => code.replace('checkpoint.', ''))).toEqual(codes);
  if (!result.ok) {
    for (const { message, path = '' } of result.issues) {
      expect(message.length).toBeLessThan(300);
      expect(path).toMatch(/^[\x20-\x7e…]{0,80}$/);
    }
  }
});

it('holds more than 60 bad files, and every code of a header', () => {
  expect(new Set(CORPUS.map(([name]) => name)).size).toBe(CORPUS.length);
  expect(CORPUS.length).toBeGreaterThan(60);
  expect(new Set(CORPUS.flatMap(([, , codes]) => codes)).size).toBe(17);
});

it('names that objects are born with are ordinary names', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
  const json = `{${names.map((n, i) => `"${n}":${entry('F32', [1], [4 * i, 4 * i + 4])}`)},"__metadata__":{"__proto__":"x"}}`;
  const result = readSafetensorsHeader(file(json, 16), file(json, 16).length);
  expect(result.ok && [...result.value.tensors.keys()]).toEqual(names);
  expect(result.ok && Object.entries(result.value.metadata)).toEqual([['__proto__', 'x']]);
});

describe('scanning JSON', () => {
  it('counts nesting outside of strings, up to the limit', () => {
    for (const [text, depth] of [
      ['1', 0],
      ['{"a":[]}', 2],
      ['{"[[[\\"[":1}', 1],
      ['[[[[[[', 4],
      ['"', 0],
      [']]]]', 0],
    ] as const)
      expect(nestingDepth(text, 3), text).toBe(depth);
  });

  it('finds equal keys of one object only', () => {
    for (const [json, key] of [
      ['{"a":1,"b":2}', null],
      ['{"a":{"a":1},"b":{"a":1}}', null],
      ['[{"a":1},{"a":1}]', null],
      ['{"a":"a","b":"a:"}', null],
      ['{"a":{"b":1,"c":2,"b":3}}', 'b'],
      ['{"a\\"":1,"a\\u0022":1}', 'a"'],
      ['{"__proto__":1,"__proto__":2}', '__proto__'],
    ] as const)
      expect(duplicateKey(json), json).toBe(key);
  });
});
