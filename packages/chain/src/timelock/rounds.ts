/**
 * @file drand quicknet: the public beacon whose signatures open timelocked data, and its clock.
 *
 * Source: drand documentation (docs.drand.love), chain info of quicknet.
 */
import { hexToBytes } from '@noble/hashes/utils.js';

/** When a beacon signs. Round 1 is at `genesisMs`, every later one `periodMs` after. */
export interface BeaconClock {
  /** Unix time. */
  genesisMs: number;
  periodMs: number;
}

export interface Beacon extends BeaconClock {
  chainHash: string;
  /** 96 bytes, compressed point of G2. */
  publicKey: Uint8Array;
}

/** The beacon that subtensor follows: signatures in G1, keys in G2, unchained. */
export const QUICKNET: Beacon = {
  chainHash: '52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971',
  publicKey: hexToBytes(
    '83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a',
  ),
  genesisMs: 1692803367_000,
  periodMs: 3000,
};

/** The newest round signed by `timeMs` (Unix time); 0 before the first. */
export function roundAt(timeMs: number, clock: BeaconClock = QUICKNET): number {
  return Math.max(0, Math.floor((timeMs - clock.genesisMs) / clock.periodMs) + 1);
}

/** Unix time in ms from which the signature of `round` exists. */
export function roundTimeMs(round: number, clock: BeaconClock = QUICKNET): number {
  return clock.genesisMs + (round - 1) * clock.periodMs;
}
