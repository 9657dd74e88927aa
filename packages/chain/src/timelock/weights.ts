/**
 * @file Weights as subtensor takes them hidden: the payload of a timelocked commit, and the hash of `commit_weights`.
 *
 * Source: opentensor/subtensor `coinbase/reveal_commits.rs`, `subnets/weights.rs` and `subnets/mechanism.rs`, spec 425.
 */
import { blake2b } from '@noble/hashes/blake2.js';
import { QuasarError } from '@quasar/base';
import { bytes, fixedBytes, scaleDecode, scaleEncode, struct, tuple, u16, u64, vector } from '../scale/index.ts';
import { ss58Decode, ss58Encode } from '../ss58.ts';

/** Netuids are below this; the index of mechanism m of a subnet is m * 4096 + netuid. */
const MAX_SUBNETS = 4096;
const MAX_MECHANISMS = 16;

export interface WeightsPayload {
  /** ss58 of the committer. Null: the older form, which runtimes up to spec 293 demand; newer ones take both. */
  hotkey: string | null;
  uids: number[];
  /** u16, one per uid. */
  values: number[];
  versionKey: number;
}

const pairs = vector(u16, MAX_SUBNETS);
const withoutHotkey = struct({ uids: pairs, values: pairs, versionKey: u64 });
const withHotkey = struct({ hotkey: bytes(32), uids: pairs, values: pairs, versionKey: u64 });

/** What to encrypt for `commit_timelocked_weights` (with a hotkey) or `commit_crv3_weights` (without). */
export function encodeWeightsPayload({ hotkey, uids, values, versionKey }: WeightsPayload): Uint8Array {
  const row = { uids, values, versionKey: u64Of(versionKey) };
  if (hotkey === null) return scaleEncode(withoutHotkey, row);
  return scaleEncode(withHotkey, { hotkey: ss58Decode(hotkey), ...row });
}

/**
 * Reads both forms. Who committed must be compared with `hotkey` where it is not null: otherwise anybody could copy another's
 * ciphertext. Throws `chain.scale_invalid`.
 */
export function decodeWeightsPayload(payload: Uint8Array): WeightsPayload {
  const named = attempt(() => scaleDecode(withHotkey, payload));
  const { hotkey, uids, values, versionKey } =
    named?.hotkey.length === 32 ? named : { ...scaleDecode(withoutHotkey, payload), hotkey: null };
  if (uids.length !== values.length) throw invalid(`${uids.length} uids, but ${values.length} values`);
  return { hotkey: hotkey && ss58Encode(hotkey), uids, values, versionKey: numberOf(versionKey) };
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

export interface WeightsCommit {
  /** ss58 of the committer. */
  hotkey: string;
  /** Of `netuidIndex`. */
  netuidIndex: number;
  uids: number[];
  values: number[];
  /** u16, as many as you like: without it the weights could be guessed and tried. */
  salt: number[];
  versionKey: number;
}

const committed = tuple(fixedBytes(32), u16, pairs, pairs, pairs, u64);

/** BlakeTwo256 of what `reveal_weights` will show: the argument of `commit_weights`, 32 bytes. */
export function commitHash({ hotkey, netuidIndex, uids, values, salt, versionKey }: WeightsCommit): Uint8Array {
  const revealed = scaleEncode(committed, [ss58Decode(hotkey), netuidIndex, uids, values, salt, u64Of(versionKey)]);
  return blake2b(revealed, { dkLen: 32 });
}

/** Where the chain keeps the weights of a mechanism of a subnet; mechanism 0 is the subnet itself. */
export function netuidIndex(netuid: number, mechanism = 0): number {
  const whole = (value: number, limit: number) => Number.isInteger(value) && value >= 0 && value < limit;
  if (!whole(netuid, MAX_SUBNETS) || !whole(mechanism, MAX_MECHANISMS)) {
    throw invalid(`netuid ${netuid}, mechanism ${mechanism}: expected below ${MAX_SUBNETS} and ${MAX_MECHANISMS}`);
  }
  return mechanism * MAX_SUBNETS + netuid;
}

function u64Of(versionKey: number): bigint {
  if (!Number.isSafeInteger(versionKey) || versionKey < 0)
    throw invalid(`version key ${versionKey} is no whole number`);
  return BigInt(versionKey);
}

function numberOf(versionKey: bigint): number {
  if (versionKey > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`version key ${versionKey} is above 2^53 - 1`);
  return Number(versionKey);
}

function invalid(why: string): QuasarError {
  return new QuasarError('chain.scale_invalid', `weights: ${why}`);
}
