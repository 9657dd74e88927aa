/**
 * @file When subtensor opens what was committed, and the round to lock it to.
 *
 * Epochs were once counted by division: the epoch of a block is floor((block + netuid + 1) / (tempo + 1)), and the last block
 * of each runs it. Since the tempo can change (spec 425; read `get_next_epoch_start_block` where the runtime has it) they are
 * counted as they happen, every `tempo` blocks.
 * Source: opentensor/subtensor `subnets/weights.rs`, `coinbase/reveal_commits.rs` at specs 293, 368 and 425;
 * opentensor/bittensor-drand 2.0 for the margins.
 */
import { QuasarError } from '@quasar/base';
import { type BeaconClock, QUICKNET } from './rounds.ts';

/**
 * Weights are locked to the round of this many blocks after the first in which they may open: nobody reads them in the epoch
 * before, and the chain tries again in every block until it has the round.
 */
export const REVEAL_MARGIN_BLOCKS = 3;

/** `commit_crv3_weights` (up to spec 293) tries in one block only, so the chain must have the round before. */
export const CRV3_MARGIN_BLOCKS = -6;

/** Blocks in which a commit can be revealed, both ends included. */
export interface RevealBlocks {
  first: number;
  last: number;
}

export interface DivisionSchedule {
  netuid: number;
  tempo: number;
  revealPeriodEpochs: number;
}

/** For runtimes that count epochs by division. @param kind how it was committed */
export function revealBlocksByDivision(
  commitBlock: number,
  kind: 'hash' | 'timelocked' | 'crv3',
  { netuid, tempo, revealPeriodEpochs }: DivisionSchedule,
): RevealBlocks {
  requireEpochs(tempo);
  // A timelocked commit in the block that runs an epoch counts for the next one.
  const counted = kind === 'hash' ? commitBlock : commitBlock + 1;
  const epoch = Math.floor((counted + netuid + 1) / (tempo + 1)) + revealPeriodEpochs;
  const first = epoch * (tempo + 1) - (netuid + 1);
  return kind === 'crv3' ? { first: first - 1, last: first - 1 } : { first, last: first + tempo };
}

export interface CountedSchedule {
  /** Any block that runs an epoch with this tempo, before or after the commit. */
  nextEpochBlock: number;
  tempo: number;
  revealPeriodEpochs: number;
}

/** For runtimes that count epochs as they happen. The block that runs an epoch does so before its commits. */
export function revealBlocks(
  commitBlock: number,
  { nextEpochBlock, tempo, revealPeriodEpochs }: CountedSchedule,
): RevealBlocks {
  requireEpochs(tempo);
  const passed = Math.floor((commitBlock - nextEpochBlock) / tempo) + 1;
  const first = nextEpochBlock + (passed + revealPeriodEpochs - 1) * tempo;
  return { first, last: first + tempo - 1 };
}

function requireEpochs(tempo: number): void {
  if (!(tempo > 0)) {
    throw new QuasarError(
      'chain.no_epochs',
      'the subnet has tempo 0: it runs no epochs, and nothing committed is revealed',
      {
        hint: 'choose another subnet, or ask its owner to set a tempo',
      },
    );
  }
}

export interface BlockClock {
  headBlock: number;
  /** Unix time of `headBlock`. */
  headTimeMs: number;
  blockTimeMs: number;
}

/** The round to lock to, so that the beacon has signed it one period before `block` is due. At least 1. */
export function roundForBlock(
  block: number,
  { headBlock, headTimeMs, blockTimeMs }: BlockClock,
  clock: BeaconClock = QUICKNET,
): number {
  const dueMs = headTimeMs + Math.max(0, block - headBlock) * blockTimeMs;
  return Math.max(1, Math.floor((dueMs - clock.genesisMs) / clock.periodMs));
}
