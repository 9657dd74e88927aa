/**
 * @file Timelock encryption: data that opens with the beacon's signature of a round, and with nothing earlier.
 *
 * Boneh-Franklin identity-based encryption (FullIdent) over BLS12-381 with the round as identity: the beacon's signature is
 * the secret key of that identity. It hides the key of an AES-256-GCM body. Decryption recomputes U from what it found
 * (Fujisaki-Okamoto), so a ciphertext changed in any place is refused.
 * Source: D. Boneh, M. Franklin, "Identity-Based Encryption from the Weil Pairing", 2001; `tle` of ideal-lab5/timelock.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { bytesToNumberBE } from '@noble/curves/utils.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';
import {
  KEY_BYTES,
  NONCE_BYTES,
  readCiphertext,
  TAG_BYTES,
  TIMELOCK_MAX_BYTES,
  TIMELOCK_OVERHEAD_BYTES,
  writeCiphertext,
} from './ciphertext.ts';
import { timelockInvalid } from './error.ts';
import { type G2Point, pairingDigest, readPublicKey, readSignature, roundPoint } from './pulse.ts';
import { QUICKNET } from './rounds.ts';

const { G2, fields } = bls12_381;

export interface TimelockOptions {
  /** Of the beacon, 96 bytes. Default: drand quicknet. */
  publicKey?: Uint8Array;
  /** Asked for the key (32 bytes), the seed of sigma (32) and the nonce (12), in this order. Default: the system's. */
  random?: (length: number) => Uint8Array;
}

/**
 * Encrypts `payload` until the beacon signs `round`. The result is `TIMELOCK_OVERHEAD_BYTES` longer.
 * Throws `chain.timelock_invalid` for a payload too long for the chain, or a malformed round or key.
 */
export function timelockEncrypt(payload: Uint8Array, round: number, options: TimelockOptions = {}): Uint8Array {
  const { publicKey = QUICKNET.publicKey, random = randomBytes } = options;
  const maximum = TIMELOCK_MAX_BYTES - TIMELOCK_OVERHEAD_BYTES;
  if (payload.length > maximum) {
    throw timelockInvalid(`a payload of ${payload.length} bytes, at most ${maximum} fit the chain`);
  }
  const identity = roundPoint(round);
  const key = random(KEY_BYTES);
  const sigma = random(KEY_BYTES);
  const nonce = random(NONCE_BYTES);
  const r = exponent(sigma, key);
  // e(r Q, key) is e(Q, key)^r, and multiplying in G1 is the cheaper half.
  const mask = pairingDigest(identity.multiply(r), readPublicKey(publicKey));
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const body = concatBytes(cipher.update(payload), cipher.final(), cipher.getAuthTag());
  return writeCiphertext({ u: multiplyBase(r), v: xor(sigma, mask), w: xor(key, sha256(sigma)), body, nonce });
}

/**
 * The payload of `ciphertext`. `signature`: the beacon's for the round that it was made for, 48 bytes.
 * Throws `chain.timelock_invalid` for malformed or changed bytes and for the signature of another round.
 */
export function timelockDecrypt(ciphertext: Uint8Array, signature: Uint8Array): Uint8Array {
  const { u, v, w, body, nonce } = readCiphertext(ciphertext);
  const sigma = xor(v, pairingDigest(readSignature(signature), u));
  const key = xor(w, sha256(sigma));
  if (!multiplyBase(exponent(sigma, key)).equals(u)) {
    throw timelockInvalid('the ciphertext does not open with this signature: of another round, or changed');
  }
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAuthTag(body.subarray(body.length - TAG_BYTES));
  try {
    return concatBytes(decipher.update(body.subarray(0, body.length - TAG_BYTES)), decipher.final());
  } catch (cause) {
    throw timelockInvalid('the body of the ciphertext was changed', cause);
  }
}

/** Binds U to what it hides: nobody can make a valid ciphertext without knowing sigma and the key. */
function exponent(sigma: Uint8Array, key: Uint8Array): bigint {
  return fields.Fr.create(bytesToNumberBE(sha256(concatBytes(sigma, key))));
}

function multiplyBase(scalar: bigint): G2Point {
  return G2.Point.BASE.multiply(scalar);
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] as number));
}
