/**
 * @file Strict reader of `model.safetensors.index.json`: which shard of a checkpoint holds which tensor.
 * Source: the index that `transformers` writes: `{"metadata": {"total_size"}, "weight_map": {tensor: file}}`.
 */
import type { Issue, Result } from '@quasar/base';
import { show, showName } from '../show.ts';
import { duplicateKey, nestingDepth } from './header-json.ts';
import { MAX_HEADER_BYTES, MAX_TENSORS } from './safetensors.ts';

export const INDEX_FILE = 'model.safetensors.index.json';
export const MAX_INDEX_BYTES = MAX_HEADER_BYTES;

export interface WeightIndex {
  /** Bytes of all tensors, without headers. */
  totalSizeBytes: number;
  /** File names in the order of their numbers. */
  shards: string[];
  /** Tensor to file. */
  shardOf: Map<string, string>;
}

/** File, index, weights: an object in an object. */
const MAX_DEPTH = 2;
const MAX_SHARDS = 4096;
/** A plain file name beside the index: no folder, no way up, no hidden file. */
const SHARD_NAME = /^(model[A-Za-z0-9._-]{0,100}?)-(\d{5})-of-(\d{5})\.safetensors$/;

/** `model-00002-of-00014.safetensors`; number from 1. */
export function shardName(number: number, count: number): string {
  const digits = (n: number) => String(n).padStart(5, '0');
  return `model-${digits(number)}-of-${digits(count)}.safetensors`;
}

/** The index, or every issue of it. Never throws. */
export function parseWeightIndex(text: string): Result<WeightIndex> {
  const refused = (code: string, message: string): Result<never> => ({
    ok: false,
    issues: [{ code, path: INDEX_FILE, message }],
  });
  if (text.length > MAX_INDEX_BYTES)
    return refused('checkpoint.index_too_large', `${text.length} characters, at most ${MAX_INDEX_BYTES} are allowed`);
  if (nestingDepth(text, MAX_DEPTH) > MAX_DEPTH)
    return refused('checkpoint.index_depth', `nests deeper than ${MAX_DEPTH} levels`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refused('checkpoint.index_json', 'is not JSON');
  }
  if (!isRecord(json)) return refused('checkpoint.index_json', 'is not a JSON object');
  const duplicate = duplicateKey(text);
  if (duplicate !== null) return refused('checkpoint.index_duplicate_key', `has the key ${show(duplicate)} twice`);
  const unknown = Object.keys(json).find((key) => key !== 'metadata' && key !== 'weight_map');
  if (unknown !== undefined) return refused('checkpoint.index_key', `has the unknown key ${show(unknown)}`);

  const { metadata, weight_map: map } = json;
  const totalSize = isRecord(metadata) ? metadata.total_size : undefined;
  if (!Number.isSafeInteger(totalSize) || (totalSize as number) < 0)
    return refused(
      'checkpoint.index_metadata',
      `metadata.total_size must be a number of bytes, got ${show(totalSize)}`,
    );
  if (!isRecord(map)) return refused('checkpoint.index_map', 'weight_map must map tensors to files');
  const entries = Object.entries(map);
  if (entries.length > MAX_TENSORS)
    return refused('checkpoint.too_many_tensors', `${entries.length} tensors, at most ${MAX_TENSORS} are allowed`);
  return readMap(entries, totalSize as number);
}

function readMap(entries: readonly [string, unknown][], totalSizeBytes: number): Result<WeightIndex> {
  const issues: Issue[] = [];
  const issue = (code: string, message: string, name?: string) =>
    issues.push({ code, path: name === undefined ? INDEX_FILE : showName(name), message });
  const shardOf = new Map<string, string>();
  /** Numbers of the shards by what their names share: `model-*-of-00014`. */
  const series = new Map<string, Map<number, string>>();
  for (const [name, file] of entries) {
    const parts = typeof file === 'string' && !file.includes('..') ? SHARD_NAME.exec(file) : null;
    if (!parts) {
      const message = `${show(file)} is no shard: expected a name like ${shardName(1, 2)}, without folders`;
      issue('checkpoint.index_file_name', message, name);
      continue;
    }
    const [whole, stem, number, count] = parts as unknown as [string, string, string, string];
    const key = `${stem}-of-${count}`;
    const shards = series.get(key) ?? new Map<number, string>();
    series.set(key, shards.set(Number(number), whole));
    shardOf.set(name, whole);
  }
  if (issues.length > 0) return { ok: false, issues };
  if (series.size !== 1) {
    issue('checkpoint.index_shards', `expected one series of shards, got ${series.size}`);
    return { ok: false, issues };
  }
  const [[key, shards]] = [...series] as [[string, Map<number, string>]];
  const count = Number(key.slice(-5));
  const numbers = [...shards.keys()].sort((a, b) => a - b);
  if (count > MAX_SHARDS || numbers.length !== count || numbers.some((n, i) => n !== i + 1))
    issue('checkpoint.index_shards', `names ${numbers.length} shards of a series of ${count}`);
  if (issues.length > 0) return { ok: false, issues };
  return { ok: true, value: { totalSizeBytes, shards: numbers.map((n) => shards.get(n) as string), shardOf } };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
