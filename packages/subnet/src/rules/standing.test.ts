import { describe, expect, it } from 'vitest';
import { LOCAL, UPSTREAM } from './config.ts';
import { checkStanding, countedAxes, isKingsTurn, type KingEvidence } from './standing.ts';

const specs = ['kl', 'math_bench', 'code_bench', 'length', 'tool_use', 'muted'].map((name) => ({
  ...{ name, weight: name === 'muted' ? 0 : 0.1, minValid: 1, relative: name === 'kl' },
}));
const rules = { ...UPSTREAM, kl: { fraudKl: 1e-6, maxKl: 4, baseFactor: 1.25 } };

/** 60 prompts around a mean, with a spread of about a third of it. */
const around = (mean: number) => Array.from({ length: 60 }, (_, i) => mean * (1 + 0.5 * Math.sin(i * 2.399)));
const axes = (value: number, n: number, broken = false) =>
  Object.fromEntries(specs.map(({ name }) => [name, { value, n, broken }]));

function check(change: Partial<KingEvidence> = {}): string | undefined {
  const fine = { kl: around(1), baseKl: around(3), axes: axes(0.5, 16), quality: 0.5 };
  return checkStanding({ ...fine, ...change }, specs, rules)?.code;
}

describe('a king that is measured again', () => {
  it('stands when it holds what it promised', () => {
    expect(check()).toBeUndefined();
  });

  it('falls when it speaks with the voice of the teacher', () => {
    expect(check({ kl: Array(60).fill(1e-7) })).toBe('eval.teacher_identical');
  });

  it('falls when it is far from the teacher beyond chance, compared with the limit and with the base', () => {
    expect(check({ kl: around(6) })).toBe('eval.kl_above_threshold');
    // Above the limit, but so is the base on these prompts.
    expect(check({ kl: around(6), baseKl: around(5.5) })).toBeUndefined();
    // Above it in the mean; on other prompts it might not be.
    expect(check({ kl: around(4.1) })).toBeUndefined();
  });

  it('falls when it answers next to nothing, beyond chance', () => {
    expect(check({ axes: axes(0, 24), quality: 0 })).toBe('eval.below_floor');
    expect(check({ axes: axes(0.01, 100), quality: 0.01 })).toBe('eval.below_floor');
    // Three in a hundred of 64 answers: it could be six.
    expect(check({ axes: axes(0.03, 16), quality: 0.03 })).toBeUndefined();
    // Too few questions, or questions that tell nothing.
    expect(check({ axes: axes(0, 4), quality: 0 })).toBeUndefined();
    expect(check({ axes: axes(0, 100, true), quality: 0 })).toBeUndefined();
    expect(check({ axes: {}, quality: 0 })).toBeUndefined();
  });

  it('relative, muted and broken axes say nothing; others by weight and number of answers', () => {
    expect(countedAxes(axes(0.5, 10), specs)).toEqual({ axes: 4, items: expect.closeTo(40, 9) });
    const one = { ...axes(0.5, 10, true), math_bench: { value: 0.5, n: 10, broken: false } };
    expect(countedAxes(one, specs)).toEqual({ axes: 1, items: expect.closeTo(10, 9) });
    const few = { ...axes(0.5, 10), math_bench: { value: 0.5, n: 1, broken: false } };
    expect(countedAxes(few, specs).items).toBeCloseTo(16 / 1.3, 9);
  });
});

it('whose turn it is depends on the number of the round alone', () => {
  expect([1, 2, 90].map((round) => isKingsTurn(round, UPSTREAM.revalidation))).toEqual([true, true, true]);
  expect([1, 89, 90, 180].map((round) => isKingsTurn(round, LOCAL.revalidation))).toEqual([false, false, true, true]);
  expect(isKingsTurn(90, null)).toBe(false);
});
