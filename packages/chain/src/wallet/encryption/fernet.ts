/**
 * @file The oldest encrypted key files: a Fernet token under PBKDF2-HMAC-SHA256 of the password, 10,000,000 rounds.
 *
 * Token, in URL-safe base64: 0x80 | time (8) | IV (16) | AES-128-CBC ciphertext | HMAC-SHA256 (32); the first half of the
 * key is for the HMAC. Source: the Fernet specification, and the wallet package of Bittensor before version 5; today's
 * reference no longer opens these. Only read.
 */
import { createDecipheriv, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

export const FERNET_MARK = 'gAAAAA';
const SALT = 'Iguesscyborgslikemyselfhaveatendencytobeparanoidaboutourorigins';
const ROUNDS = 10_000_000;
const HEAD_BYTES = 25;
const MAC_BYTES = 32;

/** Null: not in this format. */
export function parseToken(file: Uint8Array): Buffer | null {
  const text = Buffer.from(file).toString('latin1').trim();
  if (!/^[\w-]+={0,2}$/.test(text)) return null;
  const token = Buffer.from(text, 'base64url');
  const ciphertextBytes = token.length - HEAD_BYTES - MAC_BYTES;
  return token[0] === 0x80 && ciphertextBytes > 0 && ciphertextBytes % 16 === 0 ? token : null;
}

/** Seconds of work. Null: another password, or a damaged file. */
export async function openToken(token: Buffer, password: string): Promise<Uint8Array | null> {
  const key = await promisify(pbkdf2)(password, SALT, ROUNDS, 32, 'sha256');
  const signed = token.subarray(0, -MAC_BYTES);
  const mac = createHmac('sha256', key.subarray(0, 16)).update(signed).digest();
  if (!timingSafeEqual(mac, token.subarray(-MAC_BYTES))) return null;
  const cipher = createDecipheriv('aes-128-cbc', key.subarray(16), signed.subarray(9, HEAD_BYTES));
  try {
    return new Uint8Array(Buffer.concat([cipher.update(signed.subarray(HEAD_BYTES)), cipher.final()]));
  } catch {
    return null;
  }
}
