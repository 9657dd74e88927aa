import { bls12_381 } from '@noble/curves/bls12-381.js';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  localBeacon,
  pulseRandomness,
  QUICKNET,
  roundAt,
  roundTimeMs,
  TIMELOCK_MAX_BYTES,
  TIMELOCK_OVERHEAD_BYTES,
  timelockDecrypt,
  timelockEncrypt,
  verifyPulse,
} from './index.ts';

/** Published by drand for quicknet. */
const ROUND = 1000;
const SIGNATURE = hexToBytes(
  'b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39',
);
const RANDOMNESS = 'fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd';

const invalid = expect.objectContaining({ code: 'chain.timelock_invalid' });
const payload = utf8ToBytes('the payload of a commit');

/** 1, 2, 3, … as random bytes. */
function counting(): (length: number) => Uint8Array {
  let next = 0;
  return (length) => Uint8Array.from({ length }, () => ++next & 0xff);
}

describe('quicknet', () => {
  it('has published a signature that verifies', () => {
    expect(verifyPulse(ROUND, SIGNATURE)).toBe(true);
    expect(verifyPulse(ROUND + 1, SIGNATURE)).toBe(false);
    expect(verifyPulse(ROUND, SIGNATURE, localBeacon(new Uint8Array(32)).publicKey)).toBe(false);
    expect(bytesToHex(pulseRandomness(SIGNATURE))).toBe(RANDOMNESS);
  });

  it('is false, not an exception, for bytes that are no signature', () => {
    const infinity = bls12_381.G1.Point.ZERO.toBytes(true);
    for (const bytes of [new Uint8Array(0), new Uint8Array(48), SIGNATURE.subarray(1), infinity]) {
      expect(verifyPulse(ROUND, bytes)).toBe(false);
    }
    expect(verifyPulse(0, SIGNATURE)).toBe(false);
    expect(verifyPulse(ROUND, SIGNATURE, new Uint8Array(96))).toBe(false);
  });

  it('signs round 1 at its genesis and one every three seconds', () => {
    expect(roundTimeMs(1)).toBe(1692803367_000);
    expect(roundAt(1692803366_999)).toBe(0);
    expect(roundAt(1692803367_000)).toBe(1);
    expect(roundAt(1692803369_999)).toBe(1);
    expect(roundAt(1692803370_000)).toBe(2);
    for (const round of [1, 2, ROUND, 34_162_611]) expect(roundAt(roundTimeMs(round))).toBe(round);
  });
});

describe('timelock', () => {
  it('opens with the published signature of its round', () => {
    const ciphertext = timelockEncrypt(payload, ROUND);
    expect(ciphertext.length).toBe(payload.length + TIMELOCK_OVERHEAD_BYTES);
    expect(timelockDecrypt(ciphertext, SIGNATURE)).toEqual(payload);
    expect(timelockEncrypt(payload, ROUND)).not.toEqual(ciphertext);
  });

  it('holds nothing, and as much as the chain takes', () => {
    for (const length of [0, 1, TIMELOCK_MAX_BYTES - TIMELOCK_OVERHEAD_BYTES]) {
      const bytes = new Uint8Array(length).fill(7);
      expect(timelockDecrypt(timelockEncrypt(bytes, ROUND), SIGNATURE)).toEqual(bytes);
    }
    const tooLong = new Uint8Array(TIMELOCK_MAX_BYTES - TIMELOCK_OVERHEAD_BYTES + 1);
    expect(() => timelockEncrypt(tooLong, ROUND)).toThrow(invalid);
  });

  it('works with a beacon of one’s own, from its seed', () => {
    const beacon = localBeacon(utf8ToBytes('a seed'));
    const again = localBeacon(utf8ToBytes('a seed'));
    const other = localBeacon(utf8ToBytes('another'));
    expect(again.publicKey).toEqual(beacon.publicKey);
    expect(other.publicKey).not.toEqual(beacon.publicKey);
    const ciphertext = timelockEncrypt(payload, 7, beacon);
    expect(verifyPulse(7, again.signature(7), beacon.publicKey)).toBe(true);
    expect(timelockDecrypt(ciphertext, again.signature(7))).toEqual(payload);
    expect(() => timelockDecrypt(ciphertext, beacon.signature(8))).toThrow(invalid);
    expect(() => timelockDecrypt(ciphertext, other.signature(7))).toThrow(invalid);
    expect(() => timelockDecrypt(timelockEncrypt(payload, ROUND, beacon), SIGNATURE)).toThrow(invalid);
  });

  it('refuses rounds and keys that are none', () => {
    for (const round of [0, -1, 1.5, 2 ** 53, Number.NaN])
      expect(() => timelockEncrypt(payload, round)).toThrow(invalid);
    const infinity = bls12_381.G2.Point.ZERO.toBytes(true);
    for (const publicKey of [new Uint8Array(96), QUICKNET.publicKey.subarray(1), infinity]) {
      expect(() => timelockEncrypt(payload, ROUND, { publicKey })).toThrow(invalid);
    }
  });
});

describe('a ciphertext', () => {
  const ciphertext = timelockEncrypt(payload, ROUND, { random: counting() });
  const opens = (bytes: Uint8Array) => timelockDecrypt(bytes, SIGNATURE);

  it('is the same bytes for the same randomness', () => {
    expect(timelockEncrypt(payload, ROUND, { random: counting() })).toEqual(ciphertext);
  });

  /** Where each part begins and how long it is. */
  const parts = {
    u: [0, 96],
    v: [104, 32],
    w: [144, 32],
    body: [192, payload.length + 16],
    nonce: [239, 12],
    suite: [259, 8],
  };

  it.each(Object.entries(parts))('is refused with one bit of %s changed', (_, [at, length]) => {
    for (const offset of [0, 1, (length as number) >> 1, (length as number) - 1]) {
      const changed = ciphertext.slice();
      changed[(at as number) + offset] = (changed[(at as number) + offset] as number) ^ 1;
      expect(() => opens(changed)).toThrow(invalid);
    }
  });

  it('is refused with any of its lengths changed', () => {
    const lengths = [96, 136, 176, 184, 231, 251];
    for (const at of lengths) {
      for (const value of [0n, 1n, 31n, 33n, 2n ** 30n, 2n ** 63n, 2n ** 64n - 1n]) {
        const changed = ciphertext.slice();
        const view = new DataView(changed.buffer);
        if (view.getBigUint64(at, true) === value) continue;
        view.setBigUint64(at, value, true);
        expect(() => opens(changed)).toThrow(invalid);
      }
    }
  });

  it('is refused cut short anywhere, and with anything behind it', () => {
    for (let length = 0; length < ciphertext.length; length++)
      expect(() => opens(ciphertext.subarray(0, length))).toThrow(invalid);
    expect(() => opens(concatBytes(ciphertext, Uint8Array.of(0)))).toThrow(invalid);
    expect(() => opens(new Uint8Array(TIMELOCK_MAX_BYTES + 1))).toThrow(invalid);
    expect(() => opens(new Uint8Array(2 ** 24))).toThrow(invalid);
  });

  it('is refused with a U that is outside the group, or infinity', () => {
    const withU = (u: Uint8Array) => concatBytes(u, ciphertext.subarray(96));
    expect(() => opens(withU(bls12_381.G2.Point.ZERO.toBytes(true)))).toThrow(invalid);
    expect(() => opens(withU(onCurveOnly()))).toThrow(invalid);
    expect(() => opens(withU(bls12_381.G2.Point.BASE.toBytes(true)))).toThrow(invalid);
  });

  it('is refused with a signature that is malformed', () => {
    for (const signature of [
      new Uint8Array(0),
      new Uint8Array(48),
      SIGNATURE.subarray(0, 47),
      bls12_381.G1.Point.ZERO.toBytes(true),
    ]) {
      expect(() => timelockDecrypt(ciphertext, signature)).toThrow(invalid);
    }
  });

  it('is read from any bytes without another failure', () => {
    const near = fc
      .tuple(fc.nat(ciphertext.length - 97), fc.uint8Array({ maxLength: 40 }), fc.nat(40))
      .map(([at, insert, remove]) =>
        concatBytes(ciphertext.subarray(0, 96 + at), insert, ciphertext.subarray(96 + at + remove)),
      )
      .filter((bytes) => bytesToHex(bytes) !== bytesToHex(ciphertext));
    fc.assert(
      fc.property(fc.oneof({ weight: 3, arbitrary: near }, fc.uint8Array({ maxLength: 600 })), (bytes) => {
        expect(() => opens(bytes)).toThrow(invalid);
      }),
      { numRuns: 150 },
    );
  });
});

/** A compressed point of the twist that is not in the subgroup of prime order: nearly every x that has a y. */
function onCurveOnly(): Uint8Array {
  const { Point } = bls12_381.G2;
  const bytes = Point.BASE.toBytes(true);
  for (let i = 1; ; i++) {
    bytes[95] = i;
    try {
      Point.fromBytes(bytes);
    } catch (error) {
      if (/subgroup/.test(String(error))) return bytes;
    }
  }
}
