import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UPSTREAM } from './config.ts';
import { buildWeights, type WeightRules } from './weights.ts';

const rules: WeightRules = { ...UPSTREAM.weights, reserveUid: 155 };
const uids = new Set([0, 3, 7, 155]);
const build = (kingUid: number | null, more: Partial<WeightRules> = {}) =>
  buildWeights({ kingUid, uids, ownUid: 0 }, { ...rules, ...more });

describe('buildWeights', () => {
  it('0.90 to the king and 0.10 to the reserve', () => {
    expect(build(7)).toEqual([
      { uid: 7, weight: 0.9 },
      { uid: 155, weight: 0.1 },
    ]);
  });

  it('all to the king when the reserve is unset, unknown, the king itself, or gets nothing', () => {
    const all = [{ uid: 7, weight: 1 }];
    expect(build(7, { reserveUid: null })).toEqual(all);
    expect(build(7, { reserveUid: 99 })).toEqual(all);
    expect(build(7, { reserveUid: 7 })).toEqual(all);
    expect(build(7, { winnerShare: 1, reserveShare: 0 })).toEqual(all);
  });

  it('without a king: the fallback uid, then the own uid if allowed, else nothing', () => {
    expect(build(null)).toBeNull();
    expect(build(99)).toBeNull();
    expect(build(null, { noWinnerUid: 3, fallbackToOwnUid: true })).toEqual([{ uid: 3, weight: 1 }]);
    expect(build(null, { noWinnerUid: 98, fallbackToOwnUid: true })).toEqual([{ uid: 0, weight: 1 }]);
  });

  it('names known uids only, each once, and sums to one', () => {
    const uid = fc.option(fc.constantFrom(0, 3, 7, 155, 99));
    fc.assert(
      fc.property(uid, uid, uid, fc.boolean(), (kingUid, reserveUid, noWinnerUid, fallbackToOwnUid) => {
        const got = build(kingUid, { reserveUid, noWinnerUid, fallbackToOwnUid });
        if (!got) return;
        expect(got.every((w) => uids.has(w.uid) && w.weight > 0)).toBe(true);
        expect(new Set(got.map((w) => w.uid)).size).toBe(got.length);
        expect(got.reduce((sum, w) => sum + w.weight, 0)).toBe(1);
      }),
    );
  });
});
