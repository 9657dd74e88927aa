/** @file What may enter a queue, the same for every driver: names, JSON and bytes of bounded size. */
import { QuasarError } from '@quasar/base';
import { toJsonText } from '../json-text.ts';
import { type JobError, MAX_BLOB_BYTES, MAX_JSON_BYTES } from './job-queue.ts';

const MAX_NAME_LENGTH = 500;
/** Of a message or hint: an error may quote what a handler was fed. */
const MAX_ERROR_LENGTH = 2000;

/** @throws QuasarError `store.not_json` | `queue.too_large` */
export function boundedJson(value: unknown, what: string): string {
  const text = toJsonText(value, what);
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes > MAX_JSON_BYTES) throw tooLarge(what, sizeBytes, MAX_JSON_BYTES, 'put the bulk of it into a blob');
  return text;
}

/** @throws QuasarError `queue.too_large` */
export function checkBlob(bytes: Uint8Array, tag: string): void {
  if (bytes.length > MAX_BLOB_BYTES) {
    throw tooLarge(`blob of ${tag}`, bytes.length, MAX_BLOB_BYTES, 'cut the work into smaller shards');
  }
}

/** A kind, key, tag or prefix: printable, so that every database keeps it as it is. @throws QuasarError `queue.bad_name` */
export function checkName(name: string, what: string): void {
  if (name.length > 0 && name.length <= MAX_NAME_LENGTH && !/[\p{Cc}\p{Cs}]/u.test(name)) return;
  const shown = JSON.stringify(name.slice(0, 80));
  throw new QuasarError('queue.bad_name', `${what} of a job: got ${shown} of ${name.length} characters`, {
    hint: `use 1 to ${MAX_NAME_LENGTH} characters without control characters`,
  });
}

export function toJobError(error: unknown): JobError {
  const { code, hint } = error instanceof QuasarError ? error : { code: 'queue.handler', hint: undefined };
  const message = error instanceof Error ? error.message : String(error);
  const cut = (text: string) => text.slice(0, MAX_ERROR_LENGTH);
  return { code, message: cut(message), ...(hint === undefined ? {} : { hint: cut(hint) }) };
}

function tooLarge(what: string, sizeBytes: number, limitBytes: number, hint: string): QuasarError {
  return new QuasarError('queue.too_large', `${what}: ${sizeBytes} bytes, at most ${limitBytes} fit`, { hint });
}
