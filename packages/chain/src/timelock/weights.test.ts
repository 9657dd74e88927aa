import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ss58Encode } from '../ss58.ts';
import { commitHash, decodeWeightsPayload, encodeWeightsPayload, netuidIndex, type WeightsPayload } from './index.ts';

const hotkey = ss58Encode(Uint8Array.from({ length: 32 }, (_, i) => i));
const keyHex = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const invalid = expect.objectContaining({ code: 'chain.scale_invalid' });

describe('the payload of timelocked weights', () => {
  const row = { uids: [4, 300], values: [65535, 0], versionKey: 258 };

  it('has two forms', () => {
    const rest = '0804002c01' + '08ffff0000' + '0201000000000000';
    expect(bytesToHex(encodeWeightsPayload({ hotkey: null, ...row }))).toBe(rest);
    expect(bytesToHex(encodeWeightsPayload({ hotkey, ...row }))).toBe(`80${keyHex}${rest}`);
  });

  it('reads back as it was', () => {
    const weights = fc.array(fc.tuple(fc.nat(65535), fc.nat(65535)), { maxLength: 64 });
    fc.assert(
      fc.property(weights, fc.boolean(), fc.maxSafeNat(), (pairs, named, versionKey) => {
        const payload: WeightsPayload = {
          hotkey: named ? hotkey : null,
          uids: pairs.map(([uid]) => uid),
          values: pairs.map(([, value]) => value),
          versionKey,
        };
        expect(decodeWeightsPayload(encodeWeightsPayload(payload))).toEqual(payload);
      }),
      // Random uids can spell a hotkey in the older form, as they can for the runtime.
      { seed: 1 },
    );
  });

  it('refuses all else', () => {
    const good = encodeWeightsPayload({ hotkey, ...row });
    for (let length = 0; length < good.length; length++) {
      expect(() => decodeWeightsPayload(good.subarray(0, length))).toThrow(invalid);
    }
    expect(() => decodeWeightsPayload(concatBytes(good, Uint8Array.of(0)))).toThrow(invalid);
    expect(() => decodeWeightsPayload(hexToBytes(`04010008020003000000000000000000`))).toThrow(invalid);
    expect(() => decodeWeightsPayload(hexToBytes(`0000ffffffffffffffff`))).toThrow(invalid);
    expect(() => encodeWeightsPayload({ hotkey, ...row, versionKey: -1 })).toThrow(invalid);
    expect(() => encodeWeightsPayload({ hotkey, ...row, uids: [65536, 1] })).toThrow(invalid);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (any) => {
        try {
          decodeWeightsPayload(any);
        } catch (error) {
          expect(error).toEqual(invalid);
        }
      }),
    );
  });
});

describe('the hash of a weights commit', () => {
  const commit = { hotkey, netuidIndex: 1, uids: [0, 1], values: [10, 20], salt: [1, 2, 3], versionKey: 7 };

  it('is BlakeTwo256 of what will be revealed', () => {
    // hashlib.blake2b(bytes(range(32)) + bytes.fromhex('0100' '0800000100' '080a001400' '0c010002000300' '0700000000000000'), digest_size=32)
    expect(bytesToHex(commitHash(commit))).toBe('6c1c67ec8f0d2d3eaf5f4c5e75950eb1e5f82569ac6de7fcaa745feab739393a');
  });

  it('changes with every part', () => {
    const hashes = [
      commit,
      { ...commit, hotkey: ss58Encode(new Uint8Array(32)) },
      { ...commit, netuidIndex: 2 },
      { ...commit, uids: [0, 2] },
      { ...commit, values: [10, 21] },
      { ...commit, salt: [1, 2] },
      { ...commit, versionKey: 8 },
    ].map((each) => bytesToHex(commitHash(each)));
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

it('mechanisms of a subnet have indices 4096 apart', () => {
  expect(netuidIndex(24)).toBe(24);
  expect(netuidIndex(24, 1)).toBe(4120);
  expect(netuidIndex(4095, 15)).toBe(65535);
  for (const [netuid, mechanism] of [
    [4096, 0],
    [-1, 0],
    [1, 16],
    [1.5, 0],
  ]) {
    expect(() => netuidIndex(netuid as number, mechanism)).toThrow(invalid);
  }
});
