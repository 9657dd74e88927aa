import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { absoluteAxes, teacherReference } from './absolute.ts';
import type { Answer } from './answers.ts';
import { capability } from './capability.ts';
import { degeneracy, diversity, hasLoop } from './degeneracy.ts';
import { length } from './length.ts';
import { reasoningDensity } from './reasoning-density.ts';
import { relativeAxes } from './relative.ts';

function answer(more: Partial<Answer> & { ids?: number[] } = {}): Answer {
  const { ids = [1, 2, 3], ...rest } = more;
  return { axis: 'math', correct: true, tokens: Int32Array.from(ids), finished: true, answerTokens: 3, ...rest };
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
  it('pays correct answers in full up to twice their length', () => {
    const long = answer({ ids: Array.from({ length: 80 }, (_, i) => i), answerTokens: 20 });
    expect(reasoningDensity([answer(), long, answer({ correct: false })]).value).toBeCloseTo((1 + 0.5) / 3, 12);
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
  it('covers every axis asked about and stays within 0 to 1', () => {
    const anyAnswer = fc.record({
      axis: fc.constantFrom('math', 'code'),
      correct: fc.boolean(),
      finished: fc.boolean(),
      answerTokens: fc.nat(40),
      tokens: fc.array(fc.nat(9), { maxLength: 40 }).map((ids) => Int32Array.from(ids)),
    });
    fc.assert(
      fc.property(fc.array(anyAnswer, { minLength: 1, maxLength: 20 }), (answers) => {
        const axes = absoluteAxes(answers, teacherReference(answers));
        for (const axis of new Set(answers.map((a) => a.axis))) expect(axes).toHaveProperty(axis);
        for (const { value } of Object.values(axes)) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});
