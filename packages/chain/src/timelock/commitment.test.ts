import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CommitmentData,
  commitmentSpaceBytes,
  decodeCommitment,
  decodeTimelockedText,
  encodeCommitment,
  encodeTimelockedText,
  TIMELOCK_OVERHEAD_BYTES,
  TIMELOCKED_TEXT_MAX_BYTES,
} from './index.ts';

const invalid = expect.objectContaining({ code: 'chain.scale_invalid' });
const filled = (length: number) => new Uint8Array(length).fill(0xab);

describe('a commitment', () => {
  const forms: [CommitmentData, string, number][] = [
    [{ type: 'None' }, '00', 0],
    [{ type: 'Raw', bytes: filled(0) }, '01', 0],
    [{ type: 'Raw', bytes: filled(64) }, `41${'ab'.repeat(64)}`, 64],
    [{ type: 'Raw', bytes: filled(128) }, `81${'ab'.repeat(128)}`, 128],
    [{ type: 'BlakeTwo256', bytes: filled(32) }, `82${'ab'.repeat(32)}`, 32],
    [{ type: 'Sha256', bytes: filled(32) }, `83${'ab'.repeat(32)}`, 32],
    [{ type: 'Keccak256', bytes: filled(32) }, `84${'ab'.repeat(32)}`, 32],
    [{ type: 'ShaThree256', bytes: filled(32) }, `85${'ab'.repeat(32)}`, 32],
    [{ type: 'TimelockEncrypted', encrypted: filled(3), revealRound: 1000n }, '860cabababe803000000000000', 3],
    [{ type: 'ResetBondsFlag' }, '87', 0],
    [{ type: 'BigRaw', bytes: filled(512) }, `880108${'ab'.repeat(512)}`, 512],
  ];

  it.each(forms)('%o', (data, encoded, space) => {
    expect(bytesToHex(encodeCommitment([data]))).toBe(`04${encoded}`);
    expect(decodeCommitment(hexToBytes(`04${encoded}`))).toEqual([data]);
    expect(commitmentSpaceBytes(data)).toBe(space);
  });

  it('has up to three fields', () => {
    const three: CommitmentData[] = [{ type: 'None' }, { type: 'Raw', bytes: filled(1) }, { type: 'None' }];
    expect(decodeCommitment(encodeCommitment(three))).toEqual(three);
    expect(() => encodeCommitment([...three, { type: 'None' }])).toThrow(invalid);
    expect(() => decodeCommitment(hexToBytes('1000000000'))).toThrow(invalid);
  });

  it('refuses what the chain would', () => {
    const oversized: CommitmentData[] = [
      { type: 'Raw', bytes: filled(129) },
      { type: 'BigRaw', bytes: filled(513) },
      { type: 'Sha256', bytes: filled(31) },
      { type: 'TimelockEncrypted', encrypted: filled(1025), revealRound: 1n },
      { type: 'TimelockEncrypted', encrypted: filled(1), revealRound: -1n },
    ];
    for (const data of oversized) expect(() => encodeCommitment([data])).toThrow(invalid);
    for (const encoded of ['0489', '04ff', '0441', '04880508', '0482']) {
      expect(() => decodeCommitment(hexToBytes(encoded)), encoded).toThrow(invalid);
    }
  });

  it('of any bytes is refused, or encodes to those bytes again', () => {
    const some = fc.constantFrom(...forms).map(([data]) => encodeCommitment([data]));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc
        .tuple(some, fc.nat(40), fc.nat(255))
        .map(([from, at, byte]) => from.map((each, i) => (i === at ? byte : each))),
      fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 140 })).map(([tag, rest]) => Uint8Array.of(4, tag, ...rest)),
    );
    fc.assert(
      fc.property(bytes, (any) => {
        let value: CommitmentData[];
        try {
          value = decodeCommitment(any);
        } catch (error) {
          expect(error).toEqual(invalid);
          return;
        }
        expect(encodeCommitment(value)).toEqual(any);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a timelocked text', () => {
  it('has its length in front', () => {
    expect(bytesToHex(encodeTimelockedText('Ää'))).toBe('10c384c3a4');
    expect(decodeTimelockedText(hexToBytes('10c384c3a4'))).toBe('Ää');
    expect(() => decodeTimelockedText(hexToBytes('c384c3a4'))).toThrow(invalid);
  });

  it('of the longest length fits a commitment', () => {
    const longest = encodeTimelockedText('x'.repeat(TIMELOCKED_TEXT_MAX_BYTES));
    const encrypted = filled(longest.length + TIMELOCK_OVERHEAD_BYTES);
    const data: CommitmentData = { type: 'TimelockEncrypted', encrypted, revealRound: 1n };
    expect(decodeCommitment(encodeCommitment([data]))).toEqual([data]);
    expect(() => encodeTimelockedText('x'.repeat(TIMELOCKED_TEXT_MAX_BYTES + 1))).toThrow(invalid);
  });
});
