/**
 * @file What a commitment on subtensor holds: `Data`, up to three fields in one commitment.
 *
 * Source: opentensor/subtensor `pallets/commitments/src/types.rs`, spec 425.
 */

import { unencodable } from '../scale/codec.ts';
import {
  type ByteReader,
  bytes,
  type Codec,
  fixedBytes,
  scaleDecode,
  scaleEncode,
  text,
  u64,
  vector,
} from '../scale/index.ts';
import { TIMELOCK_OVERHEAD_BYTES } from './ciphertext.ts';

const RAW_MAX_BYTES = 128;
const BIG_RAW_MAX_BYTES = 512;
const TIMELOCKED_MAX_BYTES = 1024;
const MAX_FIELDS = 3;

/** The longest text (UTF-8) that a timelocked commitment holds: its length takes two bytes. */
export const TIMELOCKED_TEXT_MAX_BYTES = TIMELOCKED_MAX_BYTES - TIMELOCK_OVERHEAD_BYTES - 2;

const HASHES = ['BlakeTwo256', 'Sha256', 'Keccak256', 'ShaThree256'] as const;

export type CommitmentData =
  | { type: 'None' | 'ResetBondsFlag' }
  /** Up to 128 bytes; the runtime's metadata calls it Raw0 to Raw128 by length. */
  | { type: 'Raw'; bytes: Uint8Array }
  /** Up to 512 bytes; runtimes since 2025. */
  | { type: 'BigRaw'; bytes: Uint8Array }
  /** 32 bytes. */
  | { type: (typeof HASHES)[number]; bytes: Uint8Array }
  | { type: 'TimelockEncrypted'; encrypted: Uint8Array; revealRound: bigint };

const HASH_TAG = 130;
const TIMELOCKED_TAG = 134;
const RESET_BONDS_TAG = 135;
const BIG_RAW_TAG = 136;

const hash = fixedBytes(32);
const timelocked = bytes(TIMELOCKED_MAX_BYTES);
const bigRaw = bytes(BIG_RAW_MAX_BYTES);

const commitmentData: Codec<CommitmentData> = {
  minBytes: 1,
  write(data, to) {
    switch (data.type) {
      case 'None':
        return void to.unsigned(0, 1);
      case 'ResetBondsFlag':
        return void to.unsigned(RESET_BONDS_TAG, 1);
      case 'Raw':
        if (data.bytes.length > RAW_MAX_BYTES)
          throw unencodable(`Raw of ${data.bytes.length} bytes, at most ${RAW_MAX_BYTES}`);
        return void to.unsigned(data.bytes.length + 1, 1).bytes(data.bytes);
      case 'BigRaw':
        to.unsigned(BIG_RAW_TAG, 1);
        return bigRaw.write(data.bytes, to);
      case 'TimelockEncrypted':
        to.unsigned(TIMELOCKED_TAG, 1);
        timelocked.write(data.encrypted, to);
        return u64.write(data.revealRound, to);
      default:
        to.unsigned(HASH_TAG + HASHES.indexOf(data.type), 1);
        return hash.write(data.bytes, to);
    }
  },
  read(from: ByteReader): CommitmentData {
    const tag = from.u8();
    if (tag === 0) return { type: 'None' };
    if (tag <= RAW_MAX_BYTES + 1) return { type: 'Raw', bytes: from.take(tag - 1) };
    const hashName = HASHES[tag - HASH_TAG];
    if (hashName !== undefined) return { type: hashName, bytes: hash.read(from) };
    if (tag === TIMELOCKED_TAG) {
      return { type: 'TimelockEncrypted', encrypted: timelocked.read(from), revealRound: u64.read(from) };
    }
    if (tag === RESET_BONDS_TAG) return { type: 'ResetBondsFlag' };
    if (tag === BIG_RAW_TAG) return { type: 'BigRaw', bytes: bigRaw.read(from) };
    throw from.error(`no kind of data has tag ${tag}`);
  },
};

const fields = vector(commitmentData, MAX_FIELDS);

/** The `CommitmentInfo` of `set_commitment`. Throws `chain.scale_invalid` for more than three fields or oversized ones. */
export function encodeCommitment(data: CommitmentData[]): Uint8Array {
  return scaleEncode(fields, data);
}

/** Throws `chain.scale_invalid`. */
export function decodeCommitment(info: Uint8Array): CommitmentData[] {
  return scaleDecode(fields, info);
}

/** The bytes against which the chain counts its space limit per epoch. */
export function commitmentSpaceBytes(data: CommitmentData): number {
  if (data.type === 'TimelockEncrypted') return data.encrypted.length;
  return 'bytes' in data ? data.bytes.length : 0;
}

const timelockedText = text(TIMELOCKED_TEXT_MAX_BYTES);

/** What to encrypt for a timelocked commitment: the text with its length in front, as the public tools write and read it. */
export function encodeTimelockedText(value: string): Uint8Array {
  return scaleEncode(timelockedText, value);
}

/** The text of revealed bytes. Throws `chain.scale_invalid` for what no such text was. */
export function decodeTimelockedText(revealed: Uint8Array): string {
  return scaleDecode(timelockedText, revealed);
}
