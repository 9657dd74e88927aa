/** @file Whether what was read is worth training on, and the error when it is not. */
import { QuasarError } from '@quasar/base';
import type { DataFile } from './files.ts';
import type { Shard } from './shards/shard.ts';

/** Something that was passed over: findings of one kind in one file. */
export interface SkippedData {
  path: string;
  /** Line or row of the first one, from 1. */
  line?: number | undefined;
  code: string;
  message: string;
  hint: string;
  count: number;
}

/** Below this a text hardly fills a sentence. */
const MIN_TEXT_BYTES = 200;

/** Counts a finding with those of its kind in the same file. */
export function countSkip<Where extends { code: string; count: number }>(
  found: Where[],
  skip: Omit<Where, 'count'>,
  isSame: (other: Where) => boolean,
): void {
  const same = found.find((other) => other.code === skip.code && isSame(other));
  if (same === undefined) found.push({ ...skip, count: 1 } as Where);
  else same.count++;
}

export function skippedIn(shard: Shard, files: readonly DataFile[]): SkippedData[] {
  return shard.header.skipped.map(({ file, ...rest }) => {
    const { label, path } = files[file] as DataFile;
    return { path: label ?? path, ...rest };
  });
}

/** `path:line: message`, for people. */
export function describeSkipped({ path, line, message }: SkippedData): string {
  return `${path}${line === undefined ? '' : `:${line}`}: ${message}`;
}

/**
 * A few bad lines among many good ones are passed over; nothing good, or less than there is bad, is an error.
 * @throws QuasarError the code of the first finding, data.mostly_bad, data.too_short
 */
export function checkUsable(
  spec: string,
  { passages, textBytes }: { passages: number; textBytes: number },
  skipped: readonly SkippedData[],
): void {
  const bad = skipped.reduce((total, { count }) => total + count, 0);
  const [first] = skipped;
  if (first !== undefined && bad > passages) {
    const code = passages === 0 ? first.code : 'data.mostly_bad';
    const rest = passages === 0 ? '' : ` (first of ${bad} that cannot be used, beside ${passages} that can)`;
    throw new QuasarError(code, `--data ${describeSkipped(first)}${rest}`, { hint: first.hint, data: skipped });
  }
  if (textBytes < MIN_TEXT_BYTES) {
    const message = `--data ${spec}: ${textBytes} bytes of text, at least ${MIN_TEXT_BYTES} are needed`;
    throw new QuasarError('data.too_short', message, { hint: 'give more text' });
  }
}
