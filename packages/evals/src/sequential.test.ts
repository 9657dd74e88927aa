import { Rng } from '@quasar/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { testDeltas } from './paired.ts';
import { criticalZ, type SequentialRules, sequentialVerdict } from './sequential.ts';

const PAIRED = { minPrompts: 100, alpha: 0.03, confidenceZ: 1.96, minDelta: 0 };
const RULES: SequentialRules = {
  ...PAIRED,
  prompts: 300,
  sequential: {
    lookEvery: 8,
    win: { alpha: 0.005, minPrompts: 150 },
    futility: { minProbability: 0.005, minPrompts: 40, skipAxes: false },
  },
};

function normal(n: number, mean: number, seed = 'deltas'): number[] {
  const rng = new Rng(seed);
  return Array.from({ length: n }, () => mean + rng.normal());
}

describe('sequentialVerdict', () => {
  it('a clear win ends at the first look with enough prompts', () => {
    const verdict = sequentialVerdict(normal(300, 1), RULES);
    expect(verdict).toMatchObject({ decided: 'win', reason: 'win', atN: 152 });
    expect(verdict.logEvidence).toBeGreaterThan(Math.log(200));
    expect(verdict.test).toEqual(testDeltas(normal(300, 1).slice(0, 152), RULES));
  });

  it('a hopeless duel ends at the first look that may end one, an exact copy of the king too', () => {
    for (const deltas of [normal(300, -1), new Array(300).fill(0)])
      expect(sequentialVerdict(deltas, RULES)).toMatchObject({ decided: 'loss', reason: 'futility', atN: 40 });
  });

  it('an open duel goes on to the last prompt, where the paired test alone decides', () => {
    const [won, lost] = [0.15, 0.107].map((mean) => normal(300, 0).map((x, _, all) => x + mean - average(all)));
    expect(sequentialVerdict(won!, RULES)).toMatchObject({ decided: 'win', reason: 'last_look', atN: 300 });
    expect(sequentialVerdict(lost!, RULES)).toMatchObject({ decided: 'loss', reason: 'last_look', atN: 300 });
    expect(sequentialVerdict(won!, RULES).test).toEqual(testDeltas(won!, RULES));
  });

  it('says nothing while prompts are missing', () => {
    expect(sequentialVerdict([], RULES)).toMatchObject({ decided: null, atN: 0, reason: null, logEvidence: 0 });
    expect(sequentialVerdict(normal(151, 1), RULES)).toMatchObject({ decided: null, atN: 144 });
  });

  it('without looks only the last prompt decides', () => {
    const rules = { ...RULES, sequential: null };
    expect(sequentialVerdict(normal(299, 1), rules).decided).toBeNull();
    expect(sequentialVerdict(normal(300, 1), rules)).toMatchObject({ decided: 'win', atN: 300 });
    expect(sequentialVerdict(normal(300, -1), rules)).toMatchObject({ decided: 'loss', atN: 300 });
  });

  it('a margin holds for evidence and futility alike', () => {
    const rules = { ...RULES, minDelta: 1 };
    expect(sequentialVerdict(normal(300, 1.9), rules)).toMatchObject({ decided: 'win', atN: 152 });
    expect(sequentialVerdict(normal(300, 0.5), rules)).toMatchObject({ decided: 'loss', reason: 'futility' });
  });

  it('the evidence is what its definition says', () => {
    const deltas = normal(24, 0.3);
    const strength = (2 * Math.log(200)) / Math.sqrt(150 * 300);
    let log = 0;
    for (const from of [8, 16]) {
      const squares = deltas.slice(0, from).reduce((sum, x) => sum + x * x, 0);
      const l = Math.sqrt((strength * from) / squares);
      for (const x of deltas.slice(from, from + 8)) log += l * x - (l * x) ** 2 / 2;
    }
    expect(sequentialVerdict(deltas, RULES).logEvidence).toBeCloseTo(log, 12);
  });

  it('no win on values that are no numbers', () => {
    const deltas = normal(300, 1);
    deltas[3] = Number.NaN;
    expect(sequentialVerdict(deltas, RULES)).toMatchObject({ decided: 'loss', atN: 300 });
  });
});

describe('properties', () => {
  const deltas = fc
    .tuple(fc.integer(), fc.double({ min: -0.5, max: 0.5, noNaN: true }))
    .map(([seed, mean]) => normal(300, mean, String(seed)));

  it('a verdict never changes with more prompts: whoever stops early agrees with whoever goes on', () => {
    fc.assert(
      fc.property(deltas, fc.integer({ min: 0, max: 300 }), (all, cut) => {
        const [early, whole] = [sequentialVerdict(all.slice(0, cut), RULES), sequentialVerdict(all, RULES)];
        expect(whole.decided).not.toBeNull();
        if (early.decided === null) expect(whole.atN).toBeGreaterThan(early.atN);
        else expect(early).toEqual(whole);
      }),
    );
  });

  it('depends on nothing after the look that decided, and stops only where it may look', () => {
    fc.assert(
      fc.property(deltas, (all) => {
        const verdict = sequentialVerdict(all, RULES);
        const { atN, reason, decided, test } = verdict;
        expect(atN === 300 || atN % 8 === 0).toBe(true);
        expect(test.win).toBe(decided === 'win');
        if (reason === 'win') expect(atN).toBeGreaterThanOrEqual(150);
        if (reason === 'futility') expect(atN).toBeGreaterThanOrEqual(40);
        const other = all.map((x, i) => (i < atN ? x : -x + 3));
        expect(sequentialVerdict(other, RULES)).toEqual(verdict);
      }),
    );
  });

  it('is free of scale', () => {
    fc.assert(
      fc.property(deltas, fc.integer({ min: -12, max: 12 }), (all, power) => {
        const scaled = all.map((x) => x * 2 ** power);
        const [a, b] = [sequentialVerdict(all, RULES), sequentialVerdict(scaled, RULES)];
        expect([b.decided, b.atN]).toEqual([a.decided, a.atN]);
        expect(b.logEvidence).toBeCloseTo(a.logEvidence, 9);
      }),
    );
  });

  it('one factor of the evidence is at most one in expectation for a delta symmetric about anything up to the margin', () => {
    const factor = (y: number) => Math.exp(y - (y * y) / 2);
    const side = fc.double({ min: 0, max: 30, noNaN: true });
    fc.assert(
      fc.property(side, side, (spread, below) => {
        expect((factor(spread - below) + factor(-spread - below)) / 2).toBeLessThanOrEqual(1 + 1e-15);
      }),
      { numRuns: 5000 },
    );
  });
});

it('criticalZ is the stricter condition of the paired test', () => {
  expect(criticalZ(PAIRED)).toBe(1.96);
  expect(criticalZ({ alpha: 0.03, confidenceZ: 0 })).toBeCloseTo(1.8807936081512509, 13);
});

function average(values: number[]): number {
  return values.reduce((a, b) => a + b) / values.length;
}
