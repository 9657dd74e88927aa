/** @file Timelock encryption and what subtensor hides with it: weights and commitments. Pure: no network, no clock. */
export { type LocalBeacon, localBeacon } from './beacon.ts';
export { TIMELOCK_MAX_BYTES, TIMELOCK_OVERHEAD_BYTES } from './ciphertext.ts';
export {
  type CommitmentData,
  commitmentSpaceBytes,
  decodeCommitment,
  decodeTimelockedText,
  encodeCommitment,
  encodeTimelockedText,
  TIMELOCKED_TEXT_MAX_BYTES,
} from './commitment.ts';
export { pulseRandomness, verifyPulse } from './pulse.ts';
export {
  type BlockClock,
  type CountedSchedule,
  CRV3_MARGIN_BLOCKS,
  type DivisionSchedule,
  REVEAL_MARGIN_BLOCKS,
  type RevealBlocks,
  revealBlocks,
  revealBlocksByDivision,
  roundForBlock,
} from './reveal.ts';
export { type Beacon, type BeaconClock, QUICKNET, roundAt, roundTimeMs } from './rounds.ts';
export { type TimelockOptions, timelockDecrypt, timelockEncrypt } from './timelock.ts';
export {
  commitHash,
  decodeWeightsPayload,
  encodeWeightsPayload,
  netuidIndex,
  type WeightsCommit,
  type WeightsPayload,
} from './weights.ts';
