/**
 * @file Pulses of a beacon: the point that a round stands for, reading and checking the signature over it.
 *
 * Source: drand's `bls-unchained-g1-rfc9380` scheme: e(signature, G2) = e(Q(round), public key), where Q hashes
 * sha256(round as u64 big-endian) to G1 by RFC 9380.
 */
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { equalBytes } from '@noble/curves/utils.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { timelockInvalid } from './error.ts';
import { QUICKNET } from './rounds.ts';

export const SIGNATURE_BYTES = 48;
export const PUBLIC_KEY_BYTES = 96;

const { G1, G2, fields, pairing, pairingBatch } = bls12_381;
const DOMAIN = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_';

export type G1Point = typeof G1.Point.BASE;
export type G2Point = typeof G2.Point.BASE;

/** Throws `chain.timelock_invalid` for anything but a whole number from 1 to 2^53 - 1. */
export function roundPoint(round: number): G1Point {
  if (!Number.isSafeInteger(round) || round < 1) throw timelockInvalid(`round ${round} is no round of a beacon`);
  const message = new Uint8Array(8);
  new DataView(message.buffer).setBigUint64(0, BigInt(round));
  return G1.hashToCurve(sha256(message), { DST: DOMAIN }) as G1Point;
}

/** A compressed point in the subgroup of prime order, and not the point at infinity. */
function readPoint<P extends { is0(): boolean }>(
  bytes: Uint8Array,
  length: number,
  what: string,
  parse: (bytes: Uint8Array) => P,
): P {
  if (bytes.length !== length) throw timelockInvalid(`${what}: ${bytes.length} bytes, expected ${length}`);
  let point: P;
  try {
    point = parse(bytes);
  } catch (cause) {
    throw timelockInvalid(`${what} is no point of the group`, cause);
  }
  if (point.is0()) throw timelockInvalid(`${what} is the point at infinity`);
  return point;
}

export function readSignature(bytes: Uint8Array): G1Point {
  return readPoint(bytes, SIGNATURE_BYTES, 'the signature', (b) => G1.Point.fromBytes(b));
}

/** Of `what`, 96 bytes. */
export function readG2(bytes: Uint8Array, what: string): G2Point {
  return readPoint(bytes, PUBLIC_KEY_BYTES, what, (b) => G2.Point.fromBytes(b));
}

let lastKey: { bytes: Uint8Array; point: G2Point } | null = null;

/** A process meets one beacon, so the key is checked once. */
export function readPublicKey(bytes: Uint8Array): G2Point {
  if (lastKey === null || !equalBytes(lastKey.bytes, bytes)) {
    lastKey = { bytes: bytes.slice(), point: readG2(bytes, 'the public key') };
  }
  return lastKey.point;
}

/** Whether `signature` is the beacon's for `round`. False, never an exception, for malformed bytes. */
export function verifyPulse(round: number, signature: Uint8Array, publicKey: Uint8Array = QUICKNET.publicKey): boolean {
  try {
    const product = pairingBatch([
      { g1: readSignature(signature).negate(), g2: G2.Point.BASE },
      { g1: roundPoint(round), g2: readPublicKey(publicKey) },
    ]);
    return fields.Fp12.eql(product, fields.Fp12.ONE);
  } catch {
    return false;
  }
}

/** The 32 random bytes that a pulse publishes. */
export function pulseRandomness(signature: Uint8Array): Uint8Array {
  return sha256(signature);
}

/** sha256 of e(a, b) as arkworks serialises it: twelve numbers of 48 bytes, little-endian, lowest coefficient first. */
export function pairingDigest(a: G1Point, b: G2Point): Uint8Array {
  const { c0, c1 } = pairing(a, b);
  const out = new Uint8Array(12 * 48);
  let at = 0;
  for (const six of [c0, c1]) {
    for (const two of [six.c0, six.c1, six.c2]) {
      for (const number of [two.c0, two.c1]) {
        out.set(fields.Fp.toBytes(number).reverse(), at);
        at += 48;
      }
    }
  }
  return sha256(out);
}
