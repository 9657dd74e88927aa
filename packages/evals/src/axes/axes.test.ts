import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { absoluteAxes, teacherReference } from './absolute.ts';
import type { Answer } from './answers.ts';
import { capability } from './capability.ts';
import { AXES, AXIS_NAMES } from './catalogue.ts';
import { conversation } from './conversation.ts';
import { degeneracy, diversity, hasLoop } from './degeneracy.ts';
import { length } from './length.ts';
import { passFraction } from './pass-fraction.ts';
import { reasoningDensity } from './reasoning-density.ts';
import { relativeAxes } from './relative.ts';
import { selfConsistency } from './self-consistency.ts';

let question = 0;

/** Each a question of its own, unless told otherwise. */
function answer(more: Partial<Answer> & { ids?: number[] } = {}): Answer {
  const { ids = [1, 2, 3], ...rest } = more;
  const tokens = Int32Array.from(ids);
  return { axis: 'math_bench', question: question++, correct: true, tokens, finished: true, targetTokens: 6, ...rest };
}

describe('capability', () => {
  it('is half absolute, half relative to a teacher of at least one half', () => {
    const half = [answer(), answer({ correct: false })];
    expect(capability(half, 1).value).toBe(0.5);
    expect(capability(half, 0.5).value).toBe(0.75);
    expect(capability(half, 0.1).value).toBe(0.75);
    expect(capability([], 1)).toEqual({ value: 0, n: 0 });
  });
});

describe('length', () => {
  it('costs nothing up to twice the teacher, then falls', () => {
    const tokens = (n: number) => [answer({ ids: new Array(n).fill(0) })];
    expect(length(tokens(10), 5).value).toBe(1);
    expect(length(tokens(20), 5).value).toBe(0.5);
    expect(length(tokens(0), 5).value).toBe(0); // saying nothing is not brevity
  });
});

describe('degeneracy', () => {
  it('sees loops of any short period', () => {
    expect(hasLoop([7, 7, 7, 7])).toBe(true);
    expect(hasLoop([7, 7, 7])).toBe(false);
    expect(hasLoop([0, 1, 2, 1, 2, 1, 2, 1, 2, 9])).toBe(true);
    expect(hasLoop([1, 2, 1, 2, 1, 2, 9])).toBe(false);
  });

  it('never calls a sequence without repeated neighbours a loop', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(5000), { maxLength: 60 }), (tokens) => {
        expect(hasLoop(tokens)).toBe(false);
      }),
    );
  });

  it('is full for different, finished replies and low for one endless reply to everything', () => {
    const varied = [answer({ ids: [1, 2, 3] }), answer({ ids: [4, 5, 6] })];
    expect(degeneracy(varied).value).toBeCloseTo(1, 12);
    const stuck = [1, 2].map(() => answer({ ids: new Array(30).fill(5), finished: false }));
    expect(degeneracy(stuck).value).toBe(0);
    expect(
      diversity([
        [1, 2, 3],
        [2, 3, 4],
      ]),
    ).toBe(0.5);
  });
});

describe('reasoningDensity', () => {
  it('pays correct answers in full up to the target of their axis', () => {
    const long = answer({ ids: Array.from({ length: 80 }, (_, i) => i), targetTokens: 40 });
    const uncounted = answer({ correct: false, targetTokens: null });
    expect(reasoningDensity([answer(), long, answer({ correct: false }), uncounted])).toEqual({ value: 0.5, n: 3 });
    expect(reasoningDensity([uncounted])).toEqual({ value: 0, n: 0 });
  });
});

describe('several wordings of one question', () => {
  const both = (correct: boolean[], ids: number[][] = [[1], [1]]) =>
    correct.map((one, i) => answer({ question: 7, correct: one, ids: ids[i] ?? [] }));

  it('count once, and only when every one is right', () => {
    expect(passFraction(both([true, true]))).toEqual({ value: 1, n: 1 });
    expect(passFraction([...both([true, false]), answer()])).toEqual({ value: 0.5, n: 2 });
  });

  it('are consistent when the replies are the same, right or wrong', () => {
    expect(selfConsistency(both([false, false]))).toEqual({ value: 1, n: 1 });
    expect(selfConsistency(both([true, true], [[1], [2]])).value).toBe(0);
    expect(selfConsistency([answer()])).toEqual({ value: 0, n: 0 });
  });
});

describe('conversation', () => {
  const own = { 'judge_probe/0': -0.5 };
  const said = (more: Partial<Answer> & { ids?: number[] }) => answer({ axis: 'judge_probe', question: 0, ...more });
  const value = (more: Partial<Answer> & { ids?: number[] }) => conversation([said(more)], own).value;

  it('is the mean of the check and of the likelihood against the teacher’s own reply', () => {
    expect(value({ measured: { logprob: -0.5, judge: null } })).toBe(1);
    expect(value({ measured: { logprob: 0, judge: null } })).toBe(1); // more likely than its own is not better
    expect(value({ measured: { logprob: -0.5 - Math.LN2, judge: null } })).toBeCloseTo(0.75, 12);
    expect(value({ correct: false, measured: { logprob: -0.5, judge: null } })).toBe(0.5);
  });

  it('gives the weight of what is missing to the others', () => {
    expect(value({})).toBe(1);
    expect(value({ measured: { logprob: -0.5, judge: 0.5 } })).toBeCloseTo((1 + 1 + 2 * 0.5) / 4, 12);
    expect(conversation([said({ measured: { logprob: -9, judge: null } })], {}).value).toBe(1);
  });

  it('gives nothing for silence, for a reply without end and for a loop', () => {
    const measured = { logprob: 0, judge: 1 };
    expect(value({ ids: [], measured })).toBe(0);
    expect(value({ finished: false, measured })).toBe(0);
    expect(value({ ids: [4, 4, 4, 4, 4], measured })).toBe(0);
  });
});

describe('relativeAxes', () => {
  it('is one for the best and falls with the ratio', () => {
    const own = { kl: 2, prompts: 120, rkl: 4, rklPrompts: 8 };
    expect(relativeAxes(own, { kingKl: 1, bestRkl: 1 })).toEqual({
      kl: { value: 0.5, n: 120 },
      on_policy_rkl: { value: 0.25, n: 8 },
    });
    expect(relativeAxes(own, { kingKl: 3, bestRkl: 4 }).kl.value).toBe(1);
    expect(relativeAxes({ ...own, rkl: Infinity, rklPrompts: 0 }, { kingKl: 1, bestRkl: 1 }).on_policy_rkl.value).toBe(
      0,
    );
  });
});

describe('absoluteAxes', () => {
  const anyAnswer = fc.record({
    axis: fc.constantFrom(...AXIS_NAMES.filter((name) => !['relative', 'derived'].includes(AXES[name].kind))),
    question: fc.nat(5),
    correct: fc.boolean(),
    finished: fc.boolean(),
    targetTokens: fc.option(fc.integer({ min: 1, max: 40 })),
    tokens: fc.array(fc.nat(9), { maxLength: 40 }).map((ids) => Int32Array.from(ids)),
    measured: fc.option(
      fc.record({
        logprob: fc.double({ min: -20, max: 0, noNaN: true }),
        judge: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      }),
      { nil: undefined },
    ),
  });
  const anyAnswers = fc.array(anyAnswer, { minLength: 1, maxLength: 20 });

  it('covers every axis asked about and stays within 0 to 1', () => {
    fc.assert(
      fc.property(anyAnswers, anyAnswers, (answers, teachers) => {
        const axes = absoluteAxes(answers, teacherReference(teachers));
        for (const axis of new Set(answers.map((a) => a.axis))) expect(axes).toHaveProperty(axis);
        for (const { value } of Object.values(axes)) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('a reply that becomes right never costs anything', () => {
    fc.assert(
      fc.property(anyAnswers, fc.nat(), (answers, at) => {
        const reference = teacherReference(answers);
        const better = answers.with(at % answers.length, { ...answers[at % answers.length]!, correct: true });
        const [before, after] = [absoluteAxes(answers, reference), absoluteAxes(better, reference)];
        for (const [name, { value }] of Object.entries(before))
          expect(after[name as keyof typeof after]!.value).toBeGreaterThanOrEqual(value - 1e-12);
      }),
    );
  });

  it('is a function of what was answered, not of the order within an axis', () => {
    fc.assert(
      fc.property(anyAnswers, (answers) => {
        const reference = teacherReference(answers);
        const [one, other] = [absoluteAxes(answers, reference), absoluteAxes([...answers].reverse(), reference)];
        for (const [name, { value, n }] of Object.entries(one)) {
          expect(other[name as keyof typeof other]!.value).toBeCloseTo(value, 10);
          expect(other[name as keyof typeof other]!.n).toBe(n);
        }
      }),
    );
  });
});
