/**
 * @file Strict reader and writer of the safetensors format.
 * Source: the format specification: u64 header length, JSON header, one data block without holes.
 * Stricter than most readers: duplicate keys, holes, overlaps and unknown dtypes are refused, because submissions come
 * from strangers. A header is read before a byte of data is fetched.
 */
import { type Issue, QuasarError, type Result } from '@quasar/base';
import { sizeOf } from '@quasar/tensor';

export const DTYPE_BYTES: Readonly<Record<string, number>> = { F32: 4, BF16: 2, F16: 2 };

export interface SafetensorsEntry {
  dtype: string;
  shape: number[];
  /** Byte range in the file (not in the data block). */
  start: number;
  end: number;
}

export interface SafetensorsHeader {
  /** Bytes before the data block. */
  headerBytes: number;
  tensors: Map<string, SafetensorsEntry>;
  metadata: Record<string, string>;
}

/** A 3B mixture-of-experts index is far below this; a larger header is an attack on memory. */
export const MAX_HEADER_BYTES = 16 * 1024 * 1024;

const fail = (code: string, message: string, path?: string): { ok: false; issues: Issue[] } => ({
  ok: false,
  issues: [{ code: `checkpoint.${code}`, message, ...(path === undefined ? {} : { path }) }],
});

/** Length of the JSON header from the first 8 bytes, checked before anything is allocated. */
export function headerLength(firstBytes: Uint8Array, fileSizeBytes: number): Result<number> {
  if (firstBytes.length < 8 || fileSizeBytes < 8)
    return fail(
      'truncated',
      `a safetensors file has at least 8 bytes, got ${Math.min(firstBytes.length, fileSizeBytes)}`,
    );
  const length = new DataView(firstBytes.buffer, firstBytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES))
    return fail('header_too_large', `header of ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed`);
  if (Number(length) > fileSizeBytes - 8)
    return fail('truncated', `header of ${length} bytes in a file of ${fileSizeBytes}`);
  return { ok: true, value: Number(length) };
}

/**
 * @param bytes at least the first 8 + header length bytes of the file.
 * @returns every tensor with its byte range in the file, or all issues found.
 */
export function readSafetensorsHeader(bytes: Uint8Array, fileSizeBytes: number): Result<SafetensorsHeader> {
  const length = headerLength(bytes, fileSizeBytes);
  if (!length.ok) return length;
  const headerBytes = 8 + length.value;
  if (bytes.length < headerBytes)
    return fail('truncated', `header of ${length.value} bytes, only ${bytes.length - 8} given`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, headerBytes));
  } catch {
    return fail('header_encoding', 'the header is not UTF-8');
  }
  if (!text.startsWith('{')) return fail('header_json', 'the header does not start with {');
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return fail('header_json', 'the header is not JSON');
  }
  const duplicate = duplicateKey(text);
  if (duplicate !== null)
    return fail('duplicate_key', `the header names ${JSON.stringify(duplicate)} twice`, duplicate);

  const issues: Issue[] = [];
  const tensors = new Map<string, SafetensorsEntry>();
  const metadata: Record<string, string> = {};
  const bad = (code: string, path: string, message: string) =>
    issues.push({ code: `checkpoint.${code}`, path, message });
  for (const [name, value] of Object.entries(json)) {
    if (name === '__metadata__') {
      if (isStringMap(value)) Object.assign(metadata, value);
      else bad('metadata', name, 'metadata must map text to text');
      continue;
    }
    if (!isEntry(value)) {
      bad('entry', name, 'expected {dtype, shape, data_offsets} with whole numbers');
      continue;
    }
    const width = DTYPE_BYTES[value.dtype];
    if (width === undefined) {
      bad(
        'dtype',
        name,
        `dtype ${JSON.stringify(value.dtype)}, expected one of ${Object.keys(DTYPE_BYTES).join(', ')}`,
      );
      continue;
    }
    const [start, end] = value.data_offsets;
    const bytesNeeded = value.shape.reduce((p, n) => p * BigInt(n), BigInt(width));
    if (start > end || BigInt(end - start) !== bytesNeeded) {
      bad(
        'size',
        name,
        `shape [${value.shape}] of ${value.dtype} needs ${bytesNeeded} bytes, offsets give ${end - start}`,
      );
      continue;
    }
    tensors.set(name, { dtype: value.dtype, shape: value.shape, start: headerBytes + start, end: headerBytes + end });
  }
  if (issues.length > 0) return { ok: false, issues };

  let at = headerBytes;
  for (const [name, entry] of [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end)) {
    if (entry.start < at) bad('offset_overlap', name, `starts at ${entry.start}, the tensor before ends at ${at}`);
    else if (entry.start > at) bad('offset_hole', name, `starts at ${entry.start}, expected ${at}: no holes allowed`);
    at = Math.max(at, entry.end);
  }
  if (at !== fileSizeBytes)
    bad(
      at > fileSizeBytes ? 'truncated' : 'trailing_bytes',
      'file',
      `tensors end at ${at}, the file at ${fileSizeBytes}`,
    );
  return issues.length > 0 ? { ok: false, issues } : { ok: true, value: { headerBytes, tensors, metadata } };
}

interface RawEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

function isEntry(value: unknown): value is RawEntry {
  if (value === null || typeof value !== 'object') return false;
  const { dtype, shape, data_offsets: offsets } = value as Partial<RawEntry>;
  const whole = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0;
  return (
    typeof dtype === 'string' &&
    Array.isArray(shape) &&
    shape.length <= 8 &&
    shape.every(whole) &&
    Array.isArray(offsets) &&
    offsets.length === 2 &&
    offsets.every(whole) &&
    Object.keys(value).length === 3
  );
}

function isStringMap(value: unknown): value is Record<string, string> {
  return (
    value !== null &&
    typeof value === 'object' &&
    !Array.isArray(value) &&
    Object.values(value).every((v) => typeof v === 'string')
  );
}

/** JSON.parse keeps the last of two equal keys silently; two readers could then disagree on a file. */
function duplicateKey(text: string): string | null {
  const seen: Set<string>[] = [];
  const token = /"(?:[^"\\]|\\.)*"|[{}]/g;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    if (match[0] === '{') seen.push(new Set());
    else if (match[0] === '}') seen.pop();
    else if (/^\s*:/.test(text.slice(token.lastIndex, token.lastIndex + 8))) {
      const key = JSON.parse(match[0]) as string;
      const keys = seen.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return null;
}

/** Values of one tensor as float32. `bytes` is exactly its data. */
export function decodeTensor(bytes: Uint8Array, dtype: string): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes.slice().buffer);
  const halves = new Uint16Array(bytes.slice().buffer);
  const out = new Float32Array(halves.length);
  if (dtype === 'BF16') {
    const bits = new Uint32Array(out.buffer);
    for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] as number) << 16;
    return out;
  }
  if (dtype !== 'F16')
    throw new QuasarError(
      'checkpoint.dtype',
      `decodeTensor: dtype ${dtype}, expected ${Object.keys(DTYPE_BYTES).join(', ')}`,
    );
  for (let i = 0; i < halves.length; i++) out[i] = halfToFloat(halves[i] as number);
  return out;
}

function halfToFloat(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 0x1f;
  const fraction = h & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Rounds to bfloat16, ties to even; NaN stays NaN. */
export function toBf16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const b = bits[i] as number;
    out[i] = (b & 0x7fffffff) > 0x7f800000 ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
  return out;
}

export interface TensorToWrite {
  shape: number[];
  dtype: 'F32' | 'BF16';
  values: Float32Array;
}

/** A whole safetensors file; tensors in the given order, header padded to 8 bytes with spaces. */
export function writeSafetensors(
  tensors: Map<string, TensorToWrite>,
  metadata: Record<string, string> = {},
): Uint8Array {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let at = 0;
  for (const [name, { shape, dtype, values }] of tensors) {
    if (values.length !== sizeOf(shape))
      throw new QuasarError(
        'checkpoint.size',
        `writeSafetensors: ${name} has ${values.length} values for shape [${shape}]`,
      );
    const bytes = values.length * (DTYPE_BYTES[dtype] as number);
    header[name] = { dtype, shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(8 + padded + at).fill(0x20, 8, 8 + padded);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(json, 8);
  let to = 8 + padded;
  for (const { dtype, values } of tensors.values()) {
    const data = dtype === 'BF16' ? toBf16(values) : values;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    file.set(bytes, to);
    to += bytes.length;
  }
  return file;
}
