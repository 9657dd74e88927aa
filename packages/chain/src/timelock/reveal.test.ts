import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  QUICKNET,
  REVEAL_MARGIN_BLOCKS,
  revealBlocks,
  revealBlocksByDivision,
  roundForBlock,
  roundTimeMs,
} from './index.ts';

const noEpochs = expect.objectContaining({ code: 'chain.no_epochs' });

describe('epochs counted by division', () => {
  const epoch = (block: number, netuid: number, tempo: number) => Math.floor((block + netuid + 1) / (tempo + 1));
  const subnet = fc.record({
    netuid: fc.nat(4095),
    tempo: fc.integer({ min: 1, max: 50_400 }),
    revealPeriodEpochs: fc.integer({ min: 1, max: 100 }),
  });

  it('reveal hashes in exactly the blocks of the epoch that is due', () => {
    fc.assert(
      fc.property(fc.nat(10_000_000), subnet, (block, at) => {
        const { first, last } = revealBlocksByDivision(block, 'hash', at);
        const due = epoch(block, at.netuid, at.tempo) + at.revealPeriodEpochs;
        const isDue = (b: number) => epoch(b, at.netuid, at.tempo) === due;
        expect([isDue(first - 1), isDue(first), isDue(last), isDue(last + 1)]).toEqual([false, true, true, false]);
      }),
    );
  });

  it('take a timelocked commit in the block of an epoch for the next one', () => {
    // Blocks 98, 199, 300 … run the epochs of netuid 1 with tempo 100.
    const at = { netuid: 1, tempo: 100, revealPeriodEpochs: 1 };
    expect(revealBlocksByDivision(197, 'timelocked', at)).toEqual({ first: 200, last: 300 });
    expect(revealBlocksByDivision(198, 'timelocked', at)).toEqual({ first: 200, last: 300 });
    expect(revealBlocksByDivision(199, 'timelocked', at)).toEqual({ first: 301, last: 401 });
    expect(revealBlocksByDivision(199, 'hash', at)).toEqual({ first: 200, last: 300 });
    expect(revealBlocksByDivision(200, 'timelocked', at)).toEqual({ first: 301, last: 401 });
    expect(revealBlocksByDivision(200, 'timelocked', { ...at, revealPeriodEpochs: 3 }).first).toBe(503);
  });

  it('open the oldest form in the one block that runs the epoch', () => {
    const at = { netuid: 1, tempo: 100, revealPeriodEpochs: 1 };
    expect(revealBlocksByDivision(150, 'crv3', at)).toEqual({ first: 199, last: 199 });
    expect(revealBlocksByDivision(199, 'crv3', at)).toEqual({ first: 300, last: 300 });
  });
});

describe('epochs counted as they happen', () => {
  const at = { nextEpochBlock: 60, tempo: 50, revealPeriodEpochs: 1 };

  it('reveal from the epoch that is due to the next', () => {
    expect(revealBlocks(11, at)).toEqual({ first: 60, last: 109 });
    expect(revealBlocks(59, at)).toEqual({ first: 60, last: 109 });
    expect(revealBlocks(59, { ...at, revealPeriodEpochs: 3 }).first).toBe(160);
  });

  it('have run before the commits of their block', () => {
    expect(revealBlocks(60, at)).toEqual({ first: 110, last: 159 });
    expect(revealBlocks(109, at)).toEqual({ first: 110, last: 159 });
    expect(revealBlocks(110, at)).toEqual({ first: 160, last: 209 });
  });

  it('may be known by any of their blocks', () => {
    for (const block of [60, 100, 109, 110, 500]) {
      expect(revealBlocks(block, { ...at, nextEpochBlock: 510 })).toEqual(revealBlocks(block, at));
    }
  });
});

it('a subnet of tempo 0 reveals nothing', () => {
  expect(() => revealBlocks(1, { nextEpochBlock: 1, tempo: 0, revealPeriodEpochs: 1 })).toThrow(noEpochs);
  expect(() => revealBlocksByDivision(1, 'hash', { netuid: 1, tempo: 0, revealPeriodEpochs: 1 })).toThrow(noEpochs);
});

describe('the round for a block', () => {
  const now = { headBlock: 120, headTimeMs: 1_795_290_805_611, blockTimeMs: 12_000 };

  it('is the one that the public tools choose', () => {
    // bittensor-drand 2.0.0 at that time: last epoch 100, tempo 50, reveal period 1.
    const { first } = revealBlocks(121, { nextEpochBlock: 150, tempo: 50, revealPeriodEpochs: 1 });
    expect(roundForBlock(first + REVEAL_MARGIN_BLOCKS, now)).toBe(34_162_611);
    // … and a commitment of ten blocks.
    expect(roundForBlock(130, now)).toBe(34_162_519);
  });

  it('is signed at least one period before the block is due, and not two', () => {
    fc.assert(
      fc.property(fc.integer({ min: 121, max: 100_000 }), (block) => {
        const dueMs = now.headTimeMs + (block - now.headBlock) * now.blockTimeMs;
        const early = dueMs - roundTimeMs(roundForBlock(block, now));
        expect(early).toBeGreaterThanOrEqual(QUICKNET.periodMs);
        expect(early).toBeLessThan(2 * QUICKNET.periodMs);
      }),
    );
  });

  it('follows the clock of another beacon, from round 1', () => {
    const clock = { genesisMs: now.headTimeMs, periodMs: 250 };
    expect(roundForBlock(119, now, clock)).toBe(1);
    expect(roundForBlock(121, now, clock)).toBe(48);
  });
});
