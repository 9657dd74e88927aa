/**
 * @file Strict reader of safetensors headers, and a writer.
 * Source: the format specification: u64 header length, JSON header, one data block without holes.
 * Stricter than most readers: duplicate keys, deep nesting, odd names, holes, overlaps and dtypes that no checkpoint of
 * ours has are refused, because submissions come from strangers. A header is read before a byte of data is fetched.
 */
import { type Issue, QuasarError, type Result } from '@quasar/base';
import { sizeOf } from '@quasar/tensor';
import { show, showName } from '../show.ts';
import { duplicateKey, nestingDepth } from './header-json.ts';
import { ALL_DTYPE_BYTES, DTYPE_BYTES, encodeTensor, type WrittenDtype } from './tensor-bytes.ts';

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

/** The index of a 3B model has 0.1 MiB; a far larger header is an attack on memory. */
export const MAX_HEADER_BYTES = 4 * 1024 * 1024;
/** Bounds the number of findings, too. */
export const MAX_TENSORS = 65_536;
const MAX_NAME_CHARS = 256;
const MAX_DIMS = 8;
/** Object, entry, list of offsets. */
const MAX_DEPTH = 3;

const found = (code: string, message: string, path?: string): Issue => ({
  code,
  message,
  ...(path === undefined ? {} : { path }),
});
const refused = (...of: Parameters<typeof found>): { ok: false; issues: Issue[] } => ({
  ok: false,
  issues: [found(...of)],
});

/** Length of the JSON header from the first 8 bytes, checked before anything is allocated. */
export function headerLength(firstBytes: Uint8Array, fileSizeBytes: number): Result<number> {
  if (firstBytes.length < 8 || fileSizeBytes < 8) {
    const got = Math.min(firstBytes.length, fileSizeBytes);
    return refused('checkpoint.truncated', `a safetensors file has at least 8 bytes, got ${got}`);
  }
  const length = new DataView(firstBytes.buffer, firstBytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES))
    return refused('checkpoint.header_too_large', `header of ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed`);
  if (Number(length) > fileSizeBytes - 8)
    return refused('checkpoint.truncated', `header of ${length} bytes in a file of ${fileSizeBytes}`);
  return { ok: true, value: Number(length) };
}

/**
 * @param bytes at least the first 8 + header length bytes of the file.
 * @param options.integers tensors of integers are allowed
 * @returns every tensor with its byte range in the file, or all issues found. Never throws.
 */
export function readSafetensorsHeader(
  bytes: Uint8Array,
  fileSizeBytes: number,
  { integers = false } = {},
): Result<SafetensorsHeader> {
  const length = headerLength(bytes, fileSizeBytes);
  if (!length.ok) return length;
  const headerBytes = 8 + length.value;
  if (bytes.length < headerBytes)
    return refused('checkpoint.truncated', `header of ${length.value} bytes, only ${bytes.length - 8} given`);
  const json = parseHeader(bytes.subarray(8, headerBytes));
  if (!json.ok) return json;

  const widths = integers ? ALL_DTYPE_BYTES : DTYPE_BYTES;
  const issues: Issue[] = [];
  const tensors = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json.value)) {
    if (name === '__metadata__') {
      if (isStringMap(value)) metadata = value;
      else issues.push(found('checkpoint.metadata', 'metadata must map text to text', name));
      continue;
    }
    const entry = readEntry(name, value, headerBytes, widths);
    if (entry.ok) tensors.set(name, entry.value);
    else issues.push(...entry.issues);
  }
  if (issues.length === 0) issues.push(...layoutIssues(tensors, headerBytes, fileSizeBytes));
  return issues.length > 0 ? { ok: false, issues } : { ok: true, value: { headerBytes, tensors, metadata } };
}

function parseHeader(bytes: Uint8Array): Result<Record<string, unknown>> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refused('checkpoint.header_encoding', 'the header is not UTF-8');
  }
  if (!text.startsWith('{')) return refused('checkpoint.header_json', 'the header does not start with {');
  if (nestingDepth(text, MAX_DEPTH) > MAX_DEPTH)
    return refused('checkpoint.header_depth', `the header nests deeper than ${MAX_DEPTH} levels`);
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return refused('checkpoint.header_json', 'the header is not JSON');
  }
  const duplicate = duplicateKey(text);
  if (duplicate !== null) return refused('checkpoint.duplicate_key', `the header has the key ${show(duplicate)} twice`);
  const count = Object.keys(json).length;
  if (count > MAX_TENSORS)
    return refused('checkpoint.too_many_tensors', `${count} tensors, at most ${MAX_TENSORS} are allowed`);
  return { ok: true, value: json };
}

function readEntry(
  name: string,
  value: unknown,
  headerBytes: number,
  widths: Readonly<Record<string, number>>,
): Result<SafetensorsEntry> {
  const path = showName(name);
  if (name.length === 0 || name.length > MAX_NAME_CHARS || !/^[\x20-\x7e]+$/.test(name))
    return refused('checkpoint.name', `a tensor name has 1 to ${MAX_NAME_CHARS} printable ASCII characters`, path);
  if (!isEntry(value))
    return refused('checkpoint.entry', 'expected exactly {dtype, shape, data_offsets}, dtype a text', path);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isWholeNumbers(shape) || shape.length > MAX_DIMS)
    return refused('checkpoint.shape', `expected a list of up to ${MAX_DIMS} whole numbers`, path);
  if (!isWholeNumbers(offsets) || offsets.length !== 2)
    return refused('checkpoint.offsets', 'expected a list of 2 whole numbers', path);
  const width = widths[dtype];
  if (width === undefined)
    return refused('checkpoint.dtype', `dtype ${show(dtype)}, expected one of ${Object.keys(widths).join(', ')}`, path);
  const [start, end] = offsets as [number, number];
  // BigInt: the product of hostile extents would round, and could then agree with the offsets.
  const needed = shape.reduce((product, extent) => product * BigInt(extent), BigInt(width));
  if (BigInt(end) - BigInt(start) !== needed)
    return refused(
      'checkpoint.size',
      `shape [${shape}] of ${dtype} needs ${needed} bytes, the offsets give ${end - start}`,
      path,
    );
  return { ok: true, value: { dtype, shape, start: headerBytes + start, end: headerBytes + end } };
}

/** The tensors must tile the data block: no overlap, no hole, no byte too many. */
function layoutIssues(
  tensors: ReadonlyMap<string, SafetensorsEntry>,
  headerBytes: number,
  fileSizeBytes: number,
): Issue[] {
  const issues: Issue[] = [];
  let at = headerBytes;
  for (const [name, { start, end }] of [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end)) {
    if (start < at)
      issues.push(found('checkpoint.offset_overlap', `starts at byte ${start}, the one before ends at ${at}`, name));
    if (start > at)
      issues.push(found('checkpoint.offset_hole', `starts at byte ${start}, the one before ends at ${at}`, name));
    at = Math.max(at, end);
  }
  if (at > fileSizeBytes)
    issues.push(found('checkpoint.truncated', `tensors end at byte ${at}, the file at ${fileSizeBytes}`));
  if (at < fileSizeBytes)
    issues.push(found('checkpoint.trailing_bytes', `tensors end at byte ${at}, the file at ${fileSizeBytes}`));
  return issues;
}

interface RawEntry {
  dtype: string;
  shape: unknown;
  data_offsets: unknown;
}

function isEntry(value: unknown): value is RawEntry {
  if (value === null || typeof value !== 'object') return false;
  const { dtype } = value as Partial<RawEntry>;
  const hasAll = ['dtype', 'shape', 'data_offsets'].every((key) => Object.hasOwn(value, key));
  return hasAll && Object.keys(value).length === 3 && typeof dtype === 'string';
}

function isWholeNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function isStringMap(value: unknown): value is Record<string, string> {
  return (
    value !== null &&
    typeof value === 'object' &&
    !Array.isArray(value) &&
    Object.values(value).every((v) => typeof v === 'string')
  );
}

export interface TensorToWrite {
  shape: number[];
  dtype: 'F32' | 'BF16';
  values: Float32Array;
}

interface WrittenTensor {
  shape: number[];
  dtype: WrittenDtype;
}

/** Bytes of a tensor's data. */
export function dataBytes({ shape, dtype }: WrittenTensor): number {
  return sizeOf(shape) * (ALL_DTYPE_BYTES[dtype] as number);
}

/** What stands before the data of these tensors in this order: length and JSON, padded to 8 bytes with spaces. */
export function writeHeader(
  tensors: Iterable<readonly [name: string, tensor: WrittenTensor]>,
  metadata: Record<string, string> = {},
): Uint8Array {
  const header: [name: string, value: unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push(['__metadata__', metadata]);
  let at = 0;
  for (const [name, { shape, dtype }] of tensors) {
    const bytes = dataBytes({ shape, dtype });
    header.push([name, { dtype, shape, data_offsets: [at, at + bytes] }]);
    at += bytes;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.length / 8) * 8;
  const out = new Uint8Array(8 + padded).fill(0x20);
  new DataView(out.buffer).setBigUint64(0, BigInt(padded), true);
  out.set(json, 8);
  return out;
}

/** A whole safetensors file; tensors in the given order. @throws QuasarError checkpoint.size */
export function writeSafetensors(
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata: Record<string, string> = {},
): Uint8Array {
  const header = writeHeader(tensors, metadata);
  let size = header.length;
  for (const [name, { shape, dtype, values }] of tensors) {
    if (values.length !== sizeOf(shape))
      throw new QuasarError(
        'checkpoint.size',
        `writeSafetensors: ${name} has ${values.length} values for shape [${shape}]`,
      );
    size += dataBytes({ shape, dtype });
  }
  const file = new Uint8Array(size);
  file.set(header);
  let to = header.length;
  for (const { dtype, values } of tensors.values()) {
    const bytes = encodeTensor(values, dtype);
    file.set(bytes, to);
    to += bytes.length;
  }
  return file;
}
