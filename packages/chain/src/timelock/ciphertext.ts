/**
 * @file The bytes of a timelocked ciphertext, in the form that subtensor reads.
 *
 *     U (96, compressed point of G2) | n V | n W | n (n body | n nonce) | n "AES_GCM_"
 *
 * `n`: the length of what follows, u64 little-endian. V and W have 32 bytes, the nonce 12, the body 16 more than the plaintext.
 * Source: the `tle` crate of ideal-lab5/timelock (revision 5416406) with the serialisation of arkworks.
 */
import { ByteReader, ByteWriter } from '../scale/index.ts';
import { timelockInvalid } from './error.ts';
import { type G2Point, PUBLIC_KEY_BYTES, readG2 } from './pulse.ts';

export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
const SUITE = new TextEncoder().encode('AES_GCM_');

/** By how much a ciphertext is longer than its plaintext. */
export const TIMELOCK_OVERHEAD_BYTES =
  PUBLIC_KEY_BYTES + 6 * 8 + 2 * KEY_BYTES + TAG_BYTES + NONCE_BYTES + SUITE.length;

/** The longest ciphertext that subtensor takes for weights; a commitment takes 1024 bytes. */
export const TIMELOCK_MAX_BYTES = 5000;

export interface Ciphertext {
  u: G2Point;
  v: Uint8Array;
  w: Uint8Array;
  /** AES-256-GCM ciphertext with its tag at the end. */
  body: Uint8Array;
  nonce: Uint8Array;
}

export function writeCiphertext({ u, v, w, body, nonce }: Ciphertext): Uint8Array {
  const inner = new ByteWriter();
  for (const part of [body, nonce]) inner.unsigned(part.length, 8).bytes(part);
  const out = new ByteWriter().bytes(u.toBytes(true));
  for (const part of [v, w, inner.result(), SUITE]) out.unsigned(part.length, 8).bytes(part);
  return out.result();
}

/** Throws `chain.timelock_invalid` for all but the exact form, and for a U outside the group. */
export function readCiphertext(bytes: Uint8Array): Ciphertext {
  const reader = new ByteReader(bytes, (why) => timelockInvalid(`not a timelocked ciphertext: ${why}`));
  if (bytes.length > TIMELOCK_MAX_BYTES) throw reader.error(`more than ${TIMELOCK_MAX_BYTES} bytes`);
  const bodyBytes = bytes.length - TIMELOCK_OVERHEAD_BYTES + TAG_BYTES;
  if (bodyBytes < TAG_BYTES) throw reader.error(`fewer than ${TIMELOCK_OVERHEAD_BYTES} bytes`);
  const length = (expected: number, what: string) => {
    const value = reader.unsigned(8);
    if (value !== BigInt(expected)) throw reader.error(`${what} has length ${value}, expected ${expected}`);
    return expected;
  };
  const u = reader.take(PUBLIC_KEY_BYTES);
  const v = reader.take(length(KEY_BYTES, 'V'));
  const w = reader.take(length(KEY_BYTES, 'W'));
  length(8 + bodyBytes + 8 + NONCE_BYTES, 'the body with its nonce');
  const body = reader.take(length(bodyBytes, 'the body'));
  const nonce = reader.take(length(NONCE_BYTES, 'the nonce'));
  const suite = reader.take(length(SUITE.length, 'the cipher suite'));
  if (!suite.every((byte, i) => byte === SUITE[i])) throw reader.error('the cipher suite is not AES_GCM_');
  reader.end();
  // Last, because it costs thousands of times more than the rest.
  return { u: readG2(u, 'U'), v, w, body, nonce };
}
