/**
 * @file When a round happens, counted in blocks so that honest validators need no clock to agree.
 *
 *     start = round * blocks      cutoff = start - cutoffBlocks      seed = start      activation = start + activationBlocks
 *
 * A commitment revealed at block b takes part from round ceil((b + cutoffBlocks) / blocks) on. Prompts are seeded by
 * the hash of the seed block, which nobody knew at the cutoff. Source: subnet.md section 7 (protocol v2).
 */

export interface RoundTiming {
  /** Length of a round. */
  blocks: number;
  /** Commitments close this many blocks before the start. */
  cutoffBlocks: number;
  /** Verdicts take effect this many blocks after the start. */
  activationBlocks: number;
  /** A validator that is later than this waits for the next round. */
  lateStartGraceBlocks: number;
  /** A round that is not through so long after its start is given up: it crowns nobody. */
  giveUpBlocks: number;
  /** No round starts before this block. */
  firstBlock: number;
}

export interface RoundPlan {
  round: number;
  startBlock: number;
  cutoffBlock: number;
  seedBlock: number;
  activationBlock: number;
}

export function roundPlan(round: number, timing: RoundTiming): RoundPlan {
  const startBlock = round * timing.blocks;
  return {
    round,
    startBlock,
    cutoffBlock: startBlock - timing.cutoffBlocks,
    seedBlock: startBlock,
    activationBlock: startBlock + timing.activationBlocks,
  };
}

export function roundAt(block: number, timing: RoundTiming): number {
  return Math.floor(block / timing.blocks);
}

/** Too late for a verdict to count. */
export function isOverdue({ startBlock }: { startBlock: number }, head: number, timing: RoundTiming): boolean {
  return head - startBlock > timing.giveUpBlocks;
}

/** The first round whose cutoff is not before `revealedAtBlock`. */
export function firstEligibleRound(revealedAtBlock: number, timing: RoundTiming): number {
  return Math.ceil((revealedAtBlock + timing.cutoffBlocks) / timing.blocks);
}

export type NextRound = { start: RoundPlan } | { waitForBlock: number };

/**
 * What a validator with no open round does at block `head`.
 * @param lastRound the last round it started, or null
 */
export function nextRound(head: number, lastRound: number | null, timing: RoundTiming): NextRound {
  const current = roundPlan(Math.max(roundAt(head, timing), 1), timing);
  const open =
    head >= current.startBlock &&
    current.startBlock >= timing.firstBlock &&
    head - current.startBlock <= timing.lateStartGraceBlocks &&
    (lastRound === null || current.round > lastRound);
  if (open) return { start: current };
  let next = head < current.startBlock ? current.round : current.round + 1;
  next = Math.max(next, Math.ceil(timing.firstBlock / timing.blocks));
  if (lastRound !== null) next = Math.max(next, lastRound + 1);
  return { waitForBlock: roundPlan(next, timing).startBlock };
}
