/** @file A beacon of one's own, for chains without drand: same mathematics, own key. */
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { bytesToNumberBE } from '@noble/curves/utils.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { roundPoint } from './pulse.ts';

export interface LocalBeacon {
  /** 96 bytes; pass it to `timelockEncrypt` and `verifyPulse`. */
  readonly publicKey: Uint8Array;
  /** 48 bytes. Whoever has it can open what was locked to `round`, so give it out in time and not before. */
  signature(round: number): Uint8Array;
}

/** The beacon whose secret key is derived from `seed`: equal seeds, equal signatures. */
export function localBeacon(seed: Uint8Array): LocalBeacon {
  const { G2, fields } = bls12_381;
  const secret = fields.Fr.create(bytesToNumberBE(sha512(concatBytes(utf8ToBytes('quasar beacon'), seed))));
  return {
    publicKey: G2.Point.BASE.multiply(secret).toBytes(true),
    signature: (round) => roundPoint(round).multiply(secret).toBytes(true),
  };
}
