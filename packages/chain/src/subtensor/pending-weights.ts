/** @file Weights that are committed and not revealed, in the forms in which runtimes have kept them, and when they open. */
import type { PendingWeights } from '../port.ts';
import { type RevealBlocks, revealBlocks, revealBlocksByDivision } from '../timelock/reveal.ts';
import type { BlockState } from './state.ts';
import { type EpochClock, epochClock } from './subnets.ts';

const PALLET = 'SubtensorModule';

const TIMELOCKED_ENTRIES = [
  { entry: 'TimelockedWeightCommits', kind: 'timelocked' },
  { entry: 'CRV3WeightCommitsV2', kind: 'crv3' },
  { entry: 'CRV3WeightCommits', kind: 'crv3' },
] as const;

/** A commit by hash. Those whose window is over stay on the chain until their hotkey commits or reveals again. */
export interface HashCommit {
  hotkey: string;
  /** `0x` hex. */
  hash: string;
  committedAtBlock: number;
  window: RevealBlocks;
}

/** Commits that can still be revealed, oldest first. */
export async function pendingWeights(state: BlockState, netuid: number): Promise<PendingWeights[]> {
  const clock = await epochClock(state, netuid);
  const pending = (await hashCommits(state, netuid, clock))
    .filter(({ window }) => window.last > state.block)
    .map(
      ({ hotkey, committedAtBlock, window }): PendingWeights => ({
        hotkey,
        kind: 'hash',
        committedAtBlock,
        expectedRevealBlock: window.first,
      }),
    );
  for (const { entry, kind } of TIMELOCKED_ENTRIES) {
    if (!state.runtime.hasStorage(PALLET, entry)) continue;
    const epochs = await state.entries<unknown[][]>(PALLET, entry, netuid);
    for (const { keys, value } of epochs) {
      for (const commit of value) {
        // The first form did not keep the block; its epoch tells the first one that it can be.
        const kept = commit.length === 4 ? Number(commit[1]) : Number(keys[1]) * (clock.tempo + 1) - netuid - 1;
        const committedAtBlock = Math.max(0, Math.min(kept, state.block));
        const expectedRevealBlock = revealWindow(committedAtBlock, kind, netuid, clock).first;
        pending.push({ hotkey: String(commit[0]), kind: 'timelocked', committedAtBlock, expectedRevealBlock });
      }
    }
  }
  return pending.sort((a, b) => a.committedAtBlock - b.committedAtBlock);
}

/** Of every hotkey of the subnet, each hotkey's in the order of its commits. */
export async function hashCommits(state: BlockState, netuid: number, clock: EpochClock): Promise<HashCommit[]> {
  const hotkeys = await state.entries<[string, bigint, bigint, bigint][]>(PALLET, 'WeightCommits', netuid);
  return hotkeys.flatMap(({ keys, value }) =>
    value.map((commit) => {
      // The second field was the block; where epochs are counted it is the epoch, and the third is the block.
      const committedAtBlock = Number(clock.counted ? commit[2] : commit[1]);
      const window = revealWindow(committedAtBlock, 'hash', netuid, clock);
      return { hotkey: String(keys[1]), hash: commit[0], committedAtBlock, window };
    }),
  );
}

/** The blocks in which a commit can be revealed. */
export function revealWindow(
  committedAtBlock: number,
  kind: 'hash' | 'timelocked' | 'crv3',
  netuid: number,
  clock: EpochClock,
): RevealBlocks {
  if (clock.counted) return revealBlocks(committedAtBlock, clock);
  return revealBlocksByDivision(committedAtBlock, kind, { netuid, ...clock });
}
