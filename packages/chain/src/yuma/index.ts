/** @file Yuma consensus 2 and 3 and the split of emission: pure functions of what a chain has stored. */
export { type BlockSplit, blockEmission, type EpochPayout, payEpoch, splitBlockEmission } from './emission.ts';
export { type EpochInput, type EpochOutput, runEpoch } from './epoch.ts';
export type { SparseRow } from './matrix.ts';
