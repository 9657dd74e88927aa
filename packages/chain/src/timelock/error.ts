/** @file The one failure of timelock encryption. */
import { QuasarError } from '@quasar/base';

/** A ciphertext, signature or key that is malformed, tampered with, or of another round. */
export function timelockInvalid(why: string, cause?: unknown): QuasarError {
  return new QuasarError('chain.timelock_invalid', why, cause === undefined ? {} : { cause });
}
