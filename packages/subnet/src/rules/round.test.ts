import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UPSTREAM } from './config.ts';
import { firstEligibleRound, nextRound, type RoundTiming, roundAt, roundPlan } from './round.ts';

const timing: RoundTiming = { ...UPSTREAM.round, firstBlock: 0 };

describe('firstEligibleRound', () => {
  it.each([
    [0, 1],
    [700, 1],
    [701, 2],
    [1420, 2],
    [1421, 3],
  ])('block %d -> round %d', (block, round) => {
    expect(firstEligibleRound(block, timing)).toBe(round);
  });

  it('is the first round whose cutoff is not before the reveal', () => {
    fc.assert(
      fc.property(fc.nat(1e6), (block) => {
        const round = firstEligibleRound(block, timing);
        expect(roundPlan(round, timing).cutoffBlock).toBeGreaterThanOrEqual(block);
        expect(roundPlan(round - 1, timing).cutoffBlock).toBeLessThan(block);
      }),
    );
  });
});

describe('roundPlan', () => {
  it('seeds prompts with a block after the cutoff', () => {
    expect(roundPlan(11643, timing)).toEqual({
      round: 11643,
      startBlock: 8_382_960,
      cutoffBlock: 8_382_940,
      seedBlock: 8_382_960,
      activationBlock: 8_383_560,
    });
  });
});

describe('nextRound', () => {
  it('starts at the start block, also a little late, and once', () => {
    expect(nextRound(720, null, timing)).toEqual({ start: roundPlan(1, timing) });
    expect(nextRound(900, null, timing)).toEqual({ start: roundPlan(1, timing) });
    expect(nextRound(901, null, timing)).toEqual({ waitForBlock: 1440 });
    expect(nextRound(800, 1, timing)).toEqual({ waitForBlock: 1440 });
    expect(nextRound(3, null, timing)).toEqual({ waitForBlock: 720 });
  });

  it('never starts before the first block of the contest', () => {
    expect(nextRound(800, null, { ...timing, firstBlock: 1000 })).toEqual({ waitForBlock: 1440 });
  });

  it('either starts the present round or waits for a later block', () => {
    fc.assert(
      fc.property(fc.nat(1e5), fc.option(fc.nat(100)), (head, last) => {
        const next = nextRound(head, last, timing);
        if ('start' in next) expect(next.start.round).toBe(roundAt(head, timing));
        else expect(next.waitForBlock).toBeGreaterThan(head);
      }),
    );
  });
});
