/**
 * @file Weather: failures of hub, chain, disk and store that pass by themselves. They are waited out, and say nothing
 * about a submission, a king or the rules.
 */
import { QuasarError } from '@quasar/base';

/** A full or read-only disk, a system out of handles or memory, a wire that broke below our own clients. */
const SYSTEM = new Set(
  ['ENOSPC', 'EDQUOT', 'EROFS', 'EFBIG', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'].concat(
    ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT'], // of sockets that no client of ours wraps
  ),
);

export function isWeather(error: unknown): boolean {
  if (error instanceof QuasarError) return error.retry === 'later';
  return error instanceof Error && 'code' in error && SYSTEM.has(String(error.code));
}
