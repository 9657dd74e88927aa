/** @file Check: sizes from the listing, before a byte is downloaded. The tensor table fixes the size of the weights. */
import type { Issue } from '@quasar/base';
import type { HubFile } from '@quasar/hub';
import type { ModelLock } from './model-lock.ts';

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
  const bounds: Record<string, [min: number, max: number]> = {
    'config.json': [2, limits.maxConfigBytes],
    'tokenizer.json': [2, limits.maxTokenizerBytes],
    'README.md': [0, limits.maxReadmeBytes],
    'model.safetensors': [dataBytes + MIN_HEADER_BYTES, dataBytes + 8 + maxHeaderBytes(lock)],
  };
  const issues: Issue[] = [];
  for (const { path, sizeBytes } of files) {
    const [min, max] = bounds[path] ?? [0, Number.POSITIVE_INFINITY];
    if (sizeBytes >= min && sizeBytes <= max) continue;
    const dtypeHint = path === 'model.safetensors' ? { hint: 'Weights are BF16, router buffers F32.' } : {};
    issues.push({
      code: 'precheck.size',
      path,
      message: `got ${sizeBytes} bytes, expected ${min} to ${max}`,
      ...dtypeHint,
    });
  }
  return issues;
}

/** Most bytes a download of the whole submission may take. */
export function maxTotalBytes(lock: ModelLock): number {
  const { maxConfigBytes, maxTokenizerBytes, maxReadmeBytes } = lock.limits;
  return lock.dataBytes + 8 + maxHeaderBytes(lock) + maxConfigBytes + maxTokenizerBytes + maxReadmeBytes;
}
