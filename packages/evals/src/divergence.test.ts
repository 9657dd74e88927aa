import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { conditionalKl, fullKl, logSumExp, tailBucketKl, teacherPosition } from './divergence.ts';

const VECTORS = [
  {
    teacher: [4, 3, 0, 0],
    student: [4, 3, 6, 6],
    k: 2,
    pT: 0.026081166,
    qT: 0.915280556,
    conditional: 0,
    tailBucket: 2.285495825,
    full: 2.285495825,
    tail: -0.092797238,
  },
  {
    teacher: [2, 0, -1, -3],
    student: [1.5, 0.5, -0.5, -2.5],
    k: 4,
    pT: 0,
    qT: 0,
    conditional: 0.083225791,
    tailBucket: 0.083225791,
    full: 0.083225791,
    tail: 0,
  },
  {
    teacher: [2, 0, -1, -3],
    student: [1.5, 0.5, -0.5, -2.5],
    k: 2,
    pT: 0.047425873,
    qT: 0.10098446,
    conditional: 0.067130754,
    tailBucket: 0.083225791,
    full: 0.083225791,
    tail: -0.035844414,
  },
  {
    teacher: [1, 0, -1, -2, -3],
    student: [0, 1, -1, -2, -3],
    k: 2,
    pT: 0.129469696,
    qT: 0.129469696,
    conditional: 0.462117157,
    tailBucket: 0.402286989,
    full: 0.402286989,
    tail: 0,
  },
  {
    teacher: [1, 0, -1, -2, -3],
    student: [1, 0, -1, -2, -3],
    k: 3,
    pT: 0.043341152,
    qT: 0.043341152,
    conditional: 0,
    tailBucket: 0,
    full: 0,
    tail: 0,
  },
];

describe('published vectors', () => {
  it.each(VECTORS)('$teacher against $student, k $k', (v) => {
    const got = tailBucketKl(teacherPosition(v.teacher, v.k), v.student);
    expect(got.teacherTailMass).toBeCloseTo(v.pT, 9);
    expect(got.studentTailMass).toBeCloseTo(v.qT, 9);
    expect(got.kl).toBeCloseTo(v.tailBucket, 9);
    expect(got.tail).toBeCloseTo(v.tail, 9);
    expect(conditionalKl(v.teacher, v.student, v.k)).toBeCloseTo(v.conditional, 9);
    expect(fullKl(v.teacher, v.student)).toBeCloseTo(v.full, 9);
  });

  it('is strictly below the full KL when the tails are not proportional', () => {
    const [teacher, student] = [
      [3, 1, 0, -2],
      [1, 3, -2, 0],
    ];
    const got = tailBucketKl(teacherPosition(teacher!, 2), student!).kl;
    expect(got).toBeLessThan(fullKl(teacher!, student!) - 1e-3);
  });
});

describe('properties', () => {
  const logits = (n: number) => fc.array(fc.double({ min: -12, max: 12, noNaN: true }), { minLength: n, maxLength: n });
  const pair = fc
    .integer({ min: 2, max: 12 })
    .chain((n) => fc.tuple(logits(n), logits(n), fc.integer({ min: 1, max: n })));

  it('0 <= tail bucket <= full KL', () => {
    fc.assert(
      fc.property(pair, ([teacher, student, k]) => {
        const { kl } = tailBucketKl(teacherPosition(teacher, k), student);
        expect(kl).toBeGreaterThan(-1e-6);
        expect(kl).toBeLessThan(fullKl(teacher, student) + 1e-6);
      }),
    );
  });

  it('does not move when a constant is added to the logits', () => {
    fc.assert(
      fc.property(pair, fc.double({ min: -50, max: 50, noNaN: true }), ([teacher, student, k], shift) => {
        const shifted = student.map((x) => x + shift);
        const position = teacherPosition(teacher, k);
        expect(tailBucketKl(position, shifted).kl).toBeCloseTo(tailBucketKl(position, student).kl, 8);
      }),
    );
  });
});

describe('edges', () => {
  it('keeps a thin student tail finite where 1 - sum q would be zero', () => {
    const position = { ids: [0], logprobs: [Math.log(0.9)], tailMass: 0.1 };
    const { tail } = tailBucketKl(position, [60, 0]);
    expect(tail).toBeCloseTo(0.1 * (Math.log(0.1) + 60), 9);
  });

  it('drops the tail term below the smallest mass a trace can carry', () => {
    expect(tailBucketKl({ ids: [0], logprobs: [0], tailMass: 9e-8 }, [0, -400]).tail).toBe(0);
  });

  it('refuses ids that the student does not have, and ids twice', () => {
    expect(() => tailBucketKl({ ids: [4], logprobs: [-1], tailMass: 0.5 }, [0, 0])).toThrow(
      'expected distinct ids below 2',
    );
    expect(() => tailBucketKl({ ids: [1, 1], logprobs: [-1, -1], tailMass: 0.2 }, [0, 0])).toThrow('distinct');
  });

  it('logSumExp survives huge and missing values', () => {
    expect(logSumExp([1000, 1000])).toBeCloseTo(1000 + Math.LN2, 12);
    expect(logSumExp([])).toBe(-Infinity);
    expect(logSumExp([-Infinity, 3])).toBe(3);
  });
});
