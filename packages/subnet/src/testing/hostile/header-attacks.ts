/** @file Attacks by the header of model.safetensors: lengths, JSON tricks, byte ranges, extents, types, tensor tables. */
import { type Attack, type Files, type Honest, text, withFile, withWeights } from './attack.ts';

interface HeaderEntry {
  dtype: unknown;
  shape: unknown;
  data_offsets: unknown;
}
type Header = Record<string, HeaderEntry>;

/** A tensor that every attack of one entry changes: the first in the file, so that only its own range is wrong. */
const NAME = 'model.embed_tokens.weight';

function split(file: Uint8Array): { json: string; data: Uint8Array } {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  return { json: new TextDecoder().decode(file.subarray(8, 8 + length)), data: file.subarray(8 + length) };
}

function join(header: Uint8Array, data: Uint8Array, declaredBytes = BigInt(header.length)): Uint8Array {
  const file = new Uint8Array(8 + header.length + data.length);
  new DataView(file.buffer).setBigUint64(0, declaredBytes, true);
  file.set(header, 8);
  file.set(data, 8 + header.length);
  return file;
}

/** Replaces the text of the header; the data stays. */
const withHeaderText = (change: (json: string) => string) =>
  withFile('model.safetensors', (file) => {
    const { json, data } = split(file);
    return join(text(change(json)), data);
  });

const withHeader = (change: (header: Header) => unknown) =>
  withHeaderText((json) => {
    const header = JSON.parse(json) as Header;
    return JSON.stringify(change(header) ?? header);
  });

const withEntry = (change: (entry: { dtype: string; shape: number[]; data_offsets: number[] }) => object) =>
  withHeader((header) => ({ ...header, [NAME]: change(header[NAME] as never) }));

const withLength = (declaredBytes: bigint) =>
  withFile('model.safetensors', (file) => {
    const { json, data } = split(file);
    return join(text(json), data, declaredBytes);
  });

const refused = (name: string, tries: string, code: string, files: (honest: Honest) => Files): Attack => ({
  name,
  tries,
  label: 'INVALID',
  code: code.includes('.') ? code : `checkpoint.${code}`,
  files,
});

export const HEADERS: Attack[] = [
  refused('header of 2^63 bytes', 'overflows a signed length', 'header_too_large', withLength(2n ** 63n)),
  refused('header of 2^64 - 1 bytes', 'becomes -1', 'header_too_large', withLength(2n ** 64n - 1n)),
  refused('header of 100 MB', 'memory of whoever reads what it declares', 'header_too_large', withLength(100_000_000n)),
  refused('header beyond the file', 'reads past the end', 'truncated', withLength(4_000_000n)),
  refused('header of no bytes', 'an empty JSON text', 'header_json', withLength(0n)),
  refused('header of one byte', 'a JSON text cut short', 'header_json', withLength(1n)),
  refused('header cut in the middle', 'a JSON text cut short', 'header_json', withLength(500n)),
  refused(
    'list for a header',
    'another JSON value',
    'header_json',
    withHeaderText(() => '[]'),
  ),
  refused(
    'blank before the header',
    'a text that only lenient readers take',
    'header_json',
    withHeaderText((json) => ` ${json}`),
  ),
  refused(
    'byte order mark',
    'a text that only lenient readers take',
    'header_json',
    withHeaderText((json) => `\ufeff${json}`),
  ),
  refused(
    'text after the header',
    'two JSON values',
    'header_json',
    withHeaderText((json) => `${json}{}`),
  ),
  refused(
    'broken UTF-8',
    'a name that readers decode differently',
    'header_encoding',
    withFile('model.safetensors', (file) => {
      const { json, data } = split(file);
      const header = text(json);
      header[3] = 0xff;
      return join(header, data);
    }),
  ),
  refused(
    'depth of 20,000',
    'overflows the stack of a parser',
    'header_depth',
    withHeaderText(() => `{"a":${'['.repeat(20_000)}`),
  ),
  refused(
    'depth of 4',
    'structure that no header has',
    'header_depth',
    withHeader((header) => ({ ...header, x: { a: { b: [1] } } })),
  ),
  refused(
    'the same tensor twice',
    'two readers, two models',
    'duplicate_key',
    withHeaderText((json) => json.replace('{', `{"${NAME}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},`)),
  ),
  refused(
    'the same tensor twice, escaped',
    'a key that only looks different',
    'duplicate_key',
    withHeaderText((json) =>
      json.replace('{', `{"\\u006d${NAME.slice(1)}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},`),
    ),
  ),
  refused(
    'two data ranges in one entry',
    'two readers, two tensors',
    'duplicate_key',
    withHeaderText((json) => json.replace('"data_offsets"', '"data_offsets":[0,8],"data_offsets"')),
  ),
  refused(
    'tensor called __proto__',
    'changes the prototype of the header object',
    'precheck.unknown_tensor',
    withHeaderText((json) => json.replace('{', '{"__proto__":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},')),
  ),
  refused(
    'tensor called constructor',
    'a name that every object has',
    'precheck.unknown_tensor',
    withHeader((header) => ({ constructor: { dtype: 'F32', shape: [0], data_offsets: [0, 0] }, ...header })),
  ),
  refused(
    'overlapping tensors',
    'a large model in a small file',
    'offset_overlap',
    withHeader((header) => {
      const [first, second] = Object.values(header).slice(0, 2) as { data_offsets: number[] }[];
      const size = (second?.data_offsets[1] ?? 0) - (second?.data_offsets[0] ?? 0);
      if (second) second.data_offsets = [first?.data_offsets[0] ?? 0, (first?.data_offsets[0] ?? 0) + size];
    }),
  ),
  refused(
    'hole between tensors',
    'room for data that nobody checks',
    'offset_hole',
    withFile('model.safetensors', (file) => {
      const { json, data } = split(file);
      const header = JSON.parse(json) as Record<string, { data_offsets: number[] }>;
      for (const entry of Object.values(header).slice(1)) entry.data_offsets = entry.data_offsets.map((at) => at + 64);
      return join(
        text(JSON.stringify(header)),
        Buffer.concat([data.subarray(0, 17_408), Buffer.alloc(64), data.subarray(17_408)]),
      );
    }),
  ),
  refused(
    'bytes after the last tensor',
    'room for data that nobody checks',
    'trailing_bytes',
    withFile('model.safetensors', (file) => Buffer.concat([file, Buffer.alloc(64, 0x90)])),
  ),
  refused(
    'file cut short',
    'the last tensor is not there',
    'truncated',
    withFile('model.safetensors', (file) => file.subarray(0, -16)),
  ),
  refused(
    'range that ends before it starts',
    'a negative size',
    'size',
    withEntry((entry) => ({ ...entry, data_offsets: [...entry.data_offsets].reverse() })),
  ),
  refused(
    'negative offset',
    'reads the header as data',
    'offsets',
    withEntry((entry) => ({ ...entry, data_offsets: [-8, 0] })),
  ),
  refused(
    'fractional offset',
    'a range between bytes',
    'offsets',
    withEntry((entry) => ({ ...entry, data_offsets: [0.5, 8.5] })),
  ),
  refused(
    'offset beyond 2^53',
    'rounds to another number',
    'offsets',
    withHeaderText((json) => json.replace(/"data_offsets":\[0,\d+\]/, '"data_offsets":[0,9007199254740993]')),
  ),
  refused(
    'offsets as text',
    'compares as text',
    'offsets',
    withEntry((entry) => ({ ...entry, data_offsets: ['0', '8'] })),
  ),
  refused(
    'three offsets',
    'a third number that some reader takes',
    'offsets',
    withEntry((entry) => ({ ...entry, data_offsets: [0, 0, 8] })),
  ),
  refused(
    'extents of 2^32 x 2^32',
    'the product overflows to a small number',
    'size',
    withEntry((entry) => ({ ...entry, shape: [2 ** 32, 2 ** 32] })),
  ),
  refused(
    'extent beyond 2^53',
    'rounds to another number',
    'shape',
    withEntry((entry) => ({ ...entry, shape: [1e300, 1] })),
  ),
  refused(
    'extent of 2^53 - 1',
    'more values than bytes',
    'size',
    withEntry((entry) => ({ ...entry, shape: [Number.MAX_SAFE_INTEGER] })),
  ),
  refused(
    'negative extents',
    'two of them make a positive product',
    'shape',
    withEntry(({ shape, ...entry }) => ({ ...entry, shape: shape.map((n) => -n) })),
  ),
  refused(
    'fractional extent',
    'rounds up or down',
    'shape',
    withEntry((entry) => ({ ...entry, shape: [1.5, 2] })),
  ),
  refused(
    'shape as text',
    'multiplies as text',
    'shape',
    withEntry((entry) => ({ ...entry, shape: '272,32' })),
  ),
  refused(
    'nine dimensions',
    'more than any tensor has',
    'shape',
    withEntry((entry) => ({ ...entry, shape: [1, 1, 1, 1, 1, 1, 1, ...entry.shape] })),
  ),
  ...['F64', 'I8', 'F8_E4M3', 'BOOL', 'I64', '__proto__', 'toString'].map((dtype) =>
    refused(
      `type ${dtype}`,
      'numbers of another type, or no type at all',
      'dtype',
      withEntry((entry) => ({ ...entry, dtype })),
    ),
  ),
  refused(
    'type that is a number',
    'an index into a table of types',
    'entry',
    withEntry((entry) => ({ ...entry, dtype: 0 as never })),
  ),
  refused(
    'entry without offsets',
    'a default that might be taken',
    'entry',
    withEntry(({ dtype, shape }) => ({ dtype, shape })),
  ),
  refused(
    'entry with a fourth key',
    'an instruction for some reader',
    'entry',
    withEntry((entry) => ({ ...entry, quantization: 'int4' })),
  ),
  refused(
    'entry that is null',
    'an object where there is none',
    'entry',
    withEntry(() => null as never),
  ),
  refused(
    'metadata that is no text',
    'structure where text is expected',
    'metadata',
    withHeader((header) => ({ __metadata__: { format: { a: 1 } }, ...header })),
  ),
  refused(
    '70,000 tensors',
    'time and memory per tensor',
    'precheck.header_too_large',
    withHeaderText(() => `{${Array.from({ length: 70_000 }, (_, i) => `"t${i}":0`).join()}}`),
  ),
  refused(
    'header of 3 MiB of metadata',
    'padding that is read for every look at the file',
    'precheck.size',
    withHeader((header) => ({ __metadata__: { note: 'x'.repeat(20 * 2 ** 20) }, ...header })),
  ),
  refused(
    'tensor name of 1,000 characters',
    'floods logs and pages',
    'name',
    withHeader((header) => ({ ...header, ['x'.repeat(1000)]: { dtype: 'F32', shape: [0], data_offsets: [0, 0] } })),
  ),
  refused(
    'tensor name with escapes',
    'writes into a terminal',
    'name',
    withHeader((header) => ({ ...header, '\x1b[2J': { dtype: 'F32', shape: [0], data_offsets: [0, 0] } })),
  ),
  refused(
    'empty tensor name',
    'a key that readers skip',
    'name',
    withHeader((header) => ({ ...header, '': { dtype: 'F32', shape: [0], data_offsets: [0, 0] } })),
  ),
];

export const TENSORS: Attack[] = [
  refused(
    'tensor left out',
    'a default in its place',
    'precheck.missing_tensor',
    withWeights((weights) => {
      const fewer = new Map(weights);
      fewer.delete('model.norm.weight');
      return fewer;
    }),
  ),
  refused(
    'tensor too many',
    'parameters beyond the family',
    'precheck.unknown_tensor',
    withWeights((weights) =>
      new Map(weights).set('model.extra', { shape: [8], dtype: 'BF16', values: new Float32Array(8) }),
    ),
  ),
  refused(
    'one more layer',
    'a deeper model than the others',
    'precheck.unknown_tensor',
    withWeights(
      (weights) =>
        new Map([
          ...weights,
          ...[...weights]
            .filter(([name]) => name.includes('layers.1.'))
            .map(([name, tensor]) => [name.replace('layers.1.', 'layers.2.'), tensor] as const),
        ]),
    ),
  ),
  refused(
    'matrix turned around',
    'another shape of the same size',
    'precheck.tensor_shape',
    withWeights((weights) => {
      const head = weights.get('lm_head.weight')!;
      return new Map(weights).set('lm_head.weight', { ...head, shape: [...head.shape].reverse() });
    }),
  ),
  refused(
    'scalar in place of a vector',
    'broadcasts where a reader lets it',
    'precheck.tensor_shape',
    withWeights((weights) =>
      new Map(weights).set('model.norm.weight', { shape: [1], dtype: 'BF16', values: Float32Array.of(1) }),
    ),
  ),
  refused(
    'one tensor in F32',
    'finer numbers than the others have',
    'precheck.tensor_dtype',
    withWeights((weights) =>
      new Map(weights).set('model.norm.weight', { ...weights.get('model.norm.weight')!, dtype: 'F32' }),
    ),
  ),
  refused(
    'one tensor in F16',
    'another 16-bit type: the same size, another range',
    'precheck.tensor_dtype',
    withHeaderText((json) => json.replace('"BF16"', '"F16"')),
  ),
];
