/**
 * @file Weather: failures of hub, chain, disk and store that pass by themselves. They are waited out, and say nothing
 * about a submission, a king or the rules.
 */
import { QuasarError } from '@quasar/base';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

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

/** Doubling pauses: 0.5 s, 1 s, ... 30 s. */
export function pauseMs(failures: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
}
