/**
 * @file The encryption of today's key files: "$NACL" | nonce (24) | xsalsa20poly1305 box, under argon2i of the password.
 *
 * The salt is one constant for everybody, so the password alone protects the key; argon2i takes 512 MiB and 8 passes to
 * make guessing dear, seconds per guess. Source: opentensor/btwallet 4, libsodium's "sensitive" limits.
 */
import { randomBytes } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { QuasarError } from '@quasar/base';

export const NACL_MARK = '$NACL';
const MARK = Buffer.from(NACL_MARK);
const NONCE_BYTES = 24;
const TAG_BYTES = 16;
const SALT = Buffer.from('137183dff15a09bc9c90b5518739e9b1', 'hex');
const PASSES = 8;
const MEMORY_KIB = 524_288;

/** Seconds of work and 512 MiB. @returns 32 bytes. @throws chain.wallet_memory */
export async function naclKey(password: string): Promise<Uint8Array> {
  const { argon2i } = await import('hash-wasm');
  try {
    return await argon2i({
      // As bytes, as typed: another normal form would be another password.
      password: new TextEncoder().encode(password),
      salt: SALT,
      iterations: PASSES,
      memorySize: MEMORY_KIB,
      parallelism: 1,
      hashLength: 32,
      outputType: 'binary',
    });
  } catch (cause) {
    throw new QuasarError('chain.wallet_memory', 'there is no memory to work out the key of an encrypted wallet', {
      hint: 'it takes 512 MiB for some seconds; close other programs and try again',
      retry: 'later',
      cause,
    });
  }
}

/** Whether the file can be one at all, before seconds are spent on its password. */
export function isNaclWhole(file: Uint8Array): boolean {
  return file.length > MARK.length + NONCE_BYTES + TAG_BYTES;
}

/** Null: another key, or a damaged file. */
export function openNacl(file: Uint8Array, key: Uint8Array): Uint8Array | null {
  if (!isNaclWhole(file)) return null;
  const box = file.subarray(MARK.length);
  try {
    return xsalsa20poly1305(key, box.subarray(0, NONCE_BYTES)).decrypt(box.subarray(NONCE_BYTES));
  } catch {
    return null;
  }
}

export function sealNacl(content: Uint8Array, key: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  return new Uint8Array(Buffer.concat([MARK, nonce, xsalsa20poly1305(key, nonce).encrypt(content)]));
}
