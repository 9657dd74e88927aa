/** @file Check: sizes from the listing, before a byte is downloaded. The tensor table fixes the size of the weights. */
import type { Issue } from '@quasar/base';
import type { HubFile } from '@quasar/hub';
import type { ModelLock } from './model-lock.ts';
import {
  CONFIG_FILE,
  INDEX_FILE,
  isWeights,
  README_FILE,
  SINGLE_FILE,
  shardNumber,
  TOKENIZER_FILE,
} from './weight-layout.ts';

/** A header holds its length and at least `{}`. */
const MIN_HEADER_BYTES = 10;

/** An entry of the header, generously: its name, shape and range. */
const HEADER_BYTES_PER_TENSOR = 512;
/** Metadata, and the padding of the header. */
const HEADER_SPARE_BYTES = 65_536;

/** Most bytes the header of the family can need: what is beyond holds something else. */
export function maxHeaderBytes({ limits, tensors }: ModelLock): number {
  return Math.min(limits.maxHeaderBytes, tensors.size * HEADER_BYTES_PER_TENSOR + HEADER_SPARE_BYTES);
}

export function checkDeclaredSizes(files: readonly HubFile[], lock: ModelLock): Issue[] {
  const { limits, dataBytes } = lock;
  const whole: [min: number, max: number] = [dataBytes + MIN_HEADER_BYTES, dataBytes + 8 + maxHeaderBytes(lock)];
  const bounds: Record<string, [min: number, max: number]> = {
    [CONFIG_FILE]: [2, limits.maxConfigBytes],
    [TOKENIZER_FILE]: [2, limits.maxTokenizerBytes],
    [README_FILE]: [0, limits.maxReadmeBytes],
    [SINGLE_FILE]: whole,
    [INDEX_FILE]: [2, maxHeaderBytes(lock)],
  };
  const issues: Issue[] = [];
  const check = (path: string, sizeBytes: number, [min, max]: [min: number, max: number]) => {
    if (sizeBytes >= min && sizeBytes <= max) return;
    const dtypeHint = isWeights(path) ? { hint: 'Weights are BF16, router buffers F32.' } : {};
    const message = `got ${sizeBytes} bytes, expected ${min} to ${max}`;
    issues.push({ code: 'precheck.size', path, message, ...dtypeHint });
  };
  const isSingle = files.some(({ path }) => path === SINGLE_FILE);
  const shards = isSingle ? [] : files.filter(({ path }) => shardNumber(path) !== null);
  for (const { path, sizeBytes } of files)
    check(path, sizeBytes, shards.length > 0 && isWeights(path) ? [MIN_HEADER_BYTES, whole[1]] : (bounds[path] ?? ANY));
  if (shards.length > 0 && issues.every(({ path = '' }) => !isWeights(path))) {
    const sizeBytes = shards.reduce((sum, shard) => sum + shard.sizeBytes, 0);
    const most = dataBytes + shards.length * (8 + maxHeaderBytes(lock));
    const [{ path: first }, last] = [shards[0]!, shards.at(-1)!];
    const span = shards.length > 1 ? `${first} to ${last.path}` : first;
    check(span, sizeBytes, [dataBytes + shards.length * MIN_HEADER_BYTES, most]);
  }
  return issues;
}

const ANY: [min: number, max: number] = [0, Number.POSITIVE_INFINITY];

/** Most bytes a download of the whole submission may take. */
export function maxTotalBytes(lock: ModelLock): number {
  const { maxConfigBytes, maxTokenizerBytes, maxReadmeBytes, maxShards } = lock.limits;
  // A header for every shard, and the index.
  const headers = maxShards * (8 + maxHeaderBytes(lock)) + (maxShards > 1 ? maxHeaderBytes(lock) : 0);
  return lock.dataBytes + headers + maxConfigBytes + maxTokenizerBytes + maxReadmeBytes;
}
