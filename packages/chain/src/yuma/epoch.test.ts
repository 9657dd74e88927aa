/** @file One epoch and several: the recorded one of a real runtime, and what validators and coalitions get. */
import { describe, expect, it } from 'vitest';
import { type EpochInput, type EpochOutput, runEpoch } from './epoch.ts';
import type { SparseRow } from './matrix.ts';

const TEMPO = 360;
const START_BLOCK = 10_000;

/** A subnet of old, active neurons; every staked one is permitted, there is no owner. */
function subnet(
  stake: readonly number[],
  weights: Record<number, SparseRow>,
  more: Partial<EpochInput> = {},
): EpochInput {
  const each = <T>(value: T): T[] => stake.map(() => value);
  return {
    stake: stake.map(BigInt),
    weights: stake.map((_, uid) => weights[uid] ?? []),
    bonds: each([]),
    permits: stake.map((s) => s > 0),
    lastUpdate: each(START_BLOCK - 1),
    registeredAt: each(1),
    block: START_BLOCK,
    tempo: TEMPO,
    lastEpochBlock: START_BLOCK - TEMPO,
    kappa: 32767,
    bondsPenalty: 65535,
    bondsMovingAverage: 900_000,
    maxValidators: 64,
    activityCutoffBlocks: 5000,
    ownerUid: null,
    version: 2,
    emission: 360_000_000_000n,
    ...more,
  };
}

/** The next epoch of the same subnet, with the bonds and permits that the last one left. */
function next(input: EpochInput, { bonds, permits }: EpochOutput, more: Partial<EpochInput> = {}): EpochInput {
  const block = input.block + TEMPO;
  const lastUpdate = input.lastUpdate.map(() => block - 1);
  return { ...input, bonds, permits, block, lastUpdate, lastEpochBlock: input.block, ...more };
}

const list = (values: Uint16Array) => Array.from(values);
const oneHot = (uid: number): SparseRow => [[uid, 65535]];

describe('the epoch of a real runtime (spec 293, Yuma 2, kappa lowered, silent owner)', () => {
  const first = subnet(
    [39621, 25120, 793, 0, 0, 0],
    {
      1: oneHot(3),
      2: [
        [3, 65535],
        [4, 65535],
      ],
    },
    { kappa: 16000, ownerUid: 0 },
  );

  it('gives the recorded numbers', () => {
    let output = runEpoch(first);
    expect(list(output.dividends)).toEqual([0, 64516, 1018, 0, 0, 0]);
    for (let epoch = 2, input = first; epoch <= 6; epoch++) {
      input = next(input, output);
      output = runEpoch(input);
      expect(list(output.stakeWeight)).toEqual([39621, 25120, 793, 0, 0, 0]);
      expect(list(output.consensus)).toEqual([0, 0, 0, 65535, 0, 0]);
      expect(list(output.incentive)).toEqual([0, 0, 0, 65535, 0, 0]);
      expect(list(output.validatorTrust)).toEqual([0, 65535, 32767, 0, 0, 0]);
      expect(list(output.dividends)).toEqual([0, 64517, 1017, 0, 0, 0]);
      expect(output.bonds).toEqual([[], [[3, 65535]], [[3, 1034]], [], [], []]);
    }
  });
});
