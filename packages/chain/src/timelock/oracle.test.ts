/** @file Against Bittensor's own timelock library, in both directions, and `scalecodec` (tests/oracles/timelock_drand.py). */
import { readFileSync } from 'node:fs';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { describe, expect, it } from 'vitest';
import { compact, scaleEncode, text } from '../scale/index.ts';
import { ss58Encode } from '../ss58.ts';
import {
  commitHash,
  encodeTimelockedText,
  encodeWeightsPayload,
  netuidIndex,
  REVEAL_MARGIN_BLOCKS,
  revealBlocks,
  roundForBlock,
  TIMELOCK_OVERHEAD_BYTES,
  timelockDecrypt,
  timelockEncrypt,
} from './index.ts';

interface Chosen {
  round: number;
  /** The clock before and after. */
  fromMs: number;
  toMs: number;
}
interface Vectors {
  round: number;
  signature: string;
  theirs: { payload: string; ciphertext: string }[];
  ours: { payload: string; ciphertext: string }[];
  weightRounds: (Chosen & {
    head: number;
    nextEpochBlock: number;
    tempo: number;
    revealPeriodEpochs: number;
    blockTimeMs: number;
  })[];
  commitments: (Chosen & { text: string; blocks: number; bytes: number })[];
  scale: {
    compact: Record<string, string>;
    texts: Record<string, string>;
    named: string;
    unnamed: string;
    commitHash: string;
  };
}
const vectors: Vectors = JSON.parse(
  readFileSync(new URL('../../../../tests/oracles/vectors/timelock.json', import.meta.url), 'utf8'),
);

describe('ciphertexts', () => {
  it.each(vectors.theirs)('of the library open here, payload $payload', ({ payload, ciphertext }) => {
    const opened = timelockDecrypt(hexToBytes(ciphertext), hexToBytes(vectors.signature));
    expect(bytesToHex(opened)).toBe(payload);
  });

  it.each(vectors.ours)('of ours are the ones it opened, payload $payload', ({ payload, ciphertext }) => {
    let next = 0;
    const random = (length: number) => Uint8Array.from({ length }, () => ++next & 0xff);
    expect(bytesToHex(timelockEncrypt(hexToBytes(payload), vectors.round, { random }))).toBe(ciphertext);
  });
});

describe('rounds', () => {
  const expectChosen = ({ round, fromMs, toMs }: Chosen, at: (headTimeMs: number) => number) => {
    expect(round).toBeGreaterThanOrEqual(at(fromMs));
    expect(round).toBeLessThanOrEqual(at(toMs));
  };

  it.each(vectors.weightRounds)(
    'of weights are its own: head $head, tempo $tempo',
    ({ head, blockTimeMs, ...each }) => {
      const { first } = revealBlocks(head + 1, each);
      expectChosen(each, (headTimeMs) =>
        roundForBlock(first + REVEAL_MARGIN_BLOCKS, { headBlock: head, headTimeMs, blockTimeMs }),
      );
    },
  );

  it.each(vectors.commitments)('and sizes of commitments too: in $blocks blocks', ({ blocks, bytes, ...each }) => {
    expect(encodeTimelockedText(each.text).length + TIMELOCK_OVERHEAD_BYTES).toBe(bytes);
    expectChosen(each, (headTimeMs) => roundForBlock(blocks, { headBlock: 0, headTimeMs, blockTimeMs: 12_000 }));
  });
});

describe('SCALE', () => {
  it('of integers and texts is that of scalecodec', () => {
    for (const [value, encoded] of Object.entries(vectors.scale.compact)) {
      expect(bytesToHex(scaleEncode(compact, BigInt(value)))).toBe(encoded);
    }
    for (const [value, encoded] of Object.entries(vectors.scale.texts)) {
      expect(bytesToHex(scaleEncode(text(256), value))).toBe(encoded);
    }
  });

  it('of weights too, and the hash of their commit', () => {
    const hotkey = ss58Encode(Uint8Array.from({ length: 32 }, (_, i) => i));
    const row = { uids: [0, 300], values: [65535, 1], versionKey: Number.MAX_SAFE_INTEGER };
    expect(bytesToHex(encodeWeightsPayload({ hotkey, ...row }))).toBe(vectors.scale.named);
    expect(bytesToHex(encodeWeightsPayload({ hotkey: null, ...row }))).toBe(vectors.scale.unnamed);
    const hash = commitHash({ hotkey, netuidIndex: netuidIndex(24, 1), salt: [7, 65535, 0], ...row });
    expect(bytesToHex(hash)).toBe(vectors.scale.commitHash);
  });
});
