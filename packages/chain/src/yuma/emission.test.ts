/** @file Where the alpha goes: owner, miners, validators. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blockEmission, payEpoch, splitBlockEmission } from './emission.ts';

const ALPHA = 1_000_000_000n;
const OWNER_CUT = 11796;

describe('emission', () => {
  it('halves when half of the rest is out', () => {
    const million = 1_000_000n * ALPHA;
    const at = (alpha: bigint) => blockEmission(alpha);
    expect([at(0n), at(10_499_999_990_000_000n), at((105n * million) / 10n)]).toEqual([ALPHA, ALPHA, ALPHA / 2n]);
    expect([at((1575n * million) / 100n), at((18375n * million) / 1000n)]).toEqual([ALPHA / 4n, ALPHA / 8n]);
    expect([at(21n * million - 1n), at(21n * million), at(22n * million)]).toEqual([0n, 0n, 0n]);
  });

  it('of a block goes to the owner first, the rest half and half, and loses less than a rao each', () => {
    expect(splitBlockEmission(ALPHA, OWNER_CUT)).toEqual({
      owner: 179_995_422n,
      miners: 410_002_288n,
      validators: 410_002_288n,
    });
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 1n << 60n }), fc.integer({ min: 0, max: 65535 }), (alpha, cut) => {
        const { owner, miners, validators } = splitBlockEmission(alpha, cut);
        const lost = alpha - owner - miners - validators;
        expect(lost >= 0n && lost < 3n).toBe(true);
        expect(validators - miners === 0n || validators - miners === 1n).toBe(true);
      }),
    );
  });

  const pending = { miners: 1000n * ALPHA, validators: 1000n * ALPHA };

  it('of an epoch pays miners what they earned and validators theirs, less their take', () => {
    const shared = {
      minerEmission: [0n, 0n, 1000n * ALPHA],
      validatorEmission: [750n * ALPHA, 250n * ALPHA, 0n],
    };
    const { incentives, burned, takes, dividends } = payEpoch(pending, shared, [11796, 0, 0], new Set());
    expect([incentives, burned]).toEqual([[0n, 0n, 1000n * ALPHA], 0n]);
    // 750 alpha * 11796 / 65535 is 134.996566720; the share of 32 bits loses 32 rao of it.
    expect(takes).toEqual([134996566688n, 0n, 0n]);
    expect(dividends).toEqual([615003433311n, 250n * ALPHA, 0n]);
  });

  it("burns the incentive of the owner's neurons", () => {
    const shared = { minerEmission: [600n * ALPHA, 400n * ALPHA], validatorEmission: [0n, 1000n * ALPHA] };
    const { incentives, burned, dividends } = payEpoch(pending, shared, [], new Set([0]));
    expect([incentives, burned, dividends]).toEqual([[0n, 400n * ALPHA], 600n * ALPHA, [0n, 1000n * ALPHA]]);
  });

  it('gives validators all of it when no miner earned anything', () => {
    const shared = { minerEmission: [0n, 0n], validatorEmission: [500n * ALPHA, 1500n * ALPHA] };
    expect(payEpoch(pending, shared, [], new Set()).dividends).toEqual([500n * ALPHA, 1500n * ALPHA]);
  });

  it('never pays more than has gathered', () => {
    const rao = fc.bigInt({ min: 0n, max: 1n << 50n });
    const neurons = fc.array(fc.tuple(rao, rao, fc.integer({ min: 0, max: 65535 })), { maxLength: 20 });
    fc.assert(
      fc.property(neurons, fc.integer({ min: 0, max: 20 }), (list, owner) => {
        const total = (amounts: bigint[]) => amounts.reduce((sum, x) => sum + x, 0n);
        const miners = total(list.map(([incentive]) => incentive));
        const validators = total(list.map(([, dividend]) => dividend));
        const shared = { minerEmission: list.map(([x]) => x), validatorEmission: list.map(([, x]) => x) };
        const takes = list.map(([, , take]) => take);
        const paid = payEpoch({ miners, validators }, shared, takes, new Set([owner]));
        expect(total(paid.incentives) + paid.burned).toBe(miners);
        expect(total(paid.takes) + total(paid.dividends)).toBeLessThanOrEqual(validators);
      }),
    );
  });
});
