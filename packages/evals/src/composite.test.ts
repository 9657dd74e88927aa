import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AxisSpec, brokenAxes, composeAxes } from './composite.ts';

const SPECS: AxisSpec[] = [
  { name: 'kl', weight: 0.15, relative: true, minValid: 1 },
  { name: 'math', weight: 0.14, relative: false, minValid: 4 },
  { name: 'code', weight: 0.14, relative: false, minValid: 2 },
  { name: 'memory', weight: 0.04, relative: false, minValid: 2 },
  { name: 'muted', weight: 0, relative: false, minValid: 1 },
];
const value = (v: number, n = 12) => ({ value: v, n });

describe('composeAxes', () => {
  it('weighs what is present and keeps relative axes out of quality', () => {
    const got = composeAxes(SPECS, { kl: value(0.2), math: value(0.5), code: value(1) });
    expect(got.weighted).toBeCloseTo((0.15 * 0.2 + 0.14 * 0.5 + 0.14 * 1) / 0.43, 12);
    expect(got.quality).toBeCloseTo(0.75, 12);
    expect(got).toMatchObject({ worst: 0.2, worstAxis: 'kl', qualityAxes: 2 });
  });

  it('a broken axis counts for weighted only', () => {
    const got = composeAxes(SPECS, { math: value(0.5), code: value(0) }, new Set(['code']));
    expect(got).toMatchObject({ worst: 0.5, worstAxis: 'math', quality: 0.5, qualityAxes: 1, weighted: 0.25 });
    expect(got.axes.code).toEqual({ value: 0, n: 12, broken: true });
  });

  it('too few items, an unknown axis and a value that is no number are absent; a muted axis is shown only', () => {
    const got = composeAxes(SPECS, {
      math: value(1, 3),
      code: value(Number.NaN),
      other: value(1),
      memory: value(0.4),
      muted: value(0),
    });
    expect(Object.keys(got.axes)).toEqual(['memory', 'muted']);
    expect(got).toMatchObject({ worst: 0.4, quality: 0.4, weighted: 0.4, qualityAxes: 1 });
  });

  it('nothing present passes no gate', () => {
    expect(composeAxes(SPECS, {})).toMatchObject({
      worst: 0,
      weighted: 0,
      quality: 0,
      qualityAxes: 0,
      worstAxis: null,
    });
  });

  const names = SPECS.map(({ name }) => name);
  const anyAxis = fc.record({
    value: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constant(Number.NaN)),
    n: fc.nat(12),
  });
  const anyValues = fc.dictionary(fc.constantFrom(...names), anyAxis);
  const anyBroken = fc.subarray(names).map((list) => new Set(list));

  it('property: every mean lies between the lowest and the highest of its axes', () => {
    fc.assert(
      fc.property(anyValues, anyBroken, (values, broken) => {
        const got = composeAxes(SPECS, values, broken);
        const counting = SPECS.filter(({ name, weight }) => name in got.axes && weight > 0);
        const within = (result: number, specs: AxisSpec[]) => {
          const own = specs.map(({ name }) => got.axes[name]!.value);
          expect(result).toBeGreaterThanOrEqual(own.length > 0 ? Math.min(...own) - 1e-12 : 0);
          expect(result).toBeLessThanOrEqual(own.length > 0 ? Math.max(...own) + 1e-12 : 0);
        };
        const sound = counting.filter(({ name }) => !broken.has(name));
        within(got.weighted, counting);
        within(
          got.quality,
          sound.filter(({ relative }) => !relative),
        );
        expect(got.worst).toBe(sound.length > 0 ? Math.min(...sound.map(({ name }) => got.axes[name]!.value)) : 0);
        expect(got.qualityAxes).toBe(sound.filter(({ relative }) => !relative).length);
      }),
    );
  });

  it('property: quality does not see relative, broken, muted and absent axes', () => {
    fc.assert(
      fc.property(anyValues, anyBroken, anyAxis, (values, broken, other) => {
        const { quality } = composeAxes(SPECS, values, broken);
        for (const name of ['kl', 'muted', 'unknown', ...broken])
          expect(composeAxes(SPECS, { ...values, [name]: other }, broken).quality).toBe(quality);
      }),
    );
  });

  it('property: no axis that gets better lowers any number', () => {
    fc.assert(
      fc.property(anyValues, anyBroken, fc.constantFrom(...names), (values, broken, name) => {
        const before = values[name];
        fc.pre(before !== undefined && Number.isFinite(before.value));
        const better = { ...values, [name]: { ...before!, value: Math.min(1, before!.value + 0.1) } };
        const [a, b] = [composeAxes(SPECS, values, broken), composeAxes(SPECS, better, broken)];
        for (const key of ['worst', 'weighted', 'quality'] as const)
          expect(b[key]).toBeGreaterThanOrEqual(a[key] - 1e-12);
      }),
    );
  });

  it('worst <= quality and worst <= weighted on non-broken axes', () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(unit, unit, unit, (math, code, memory) => {
        const got = composeAxes(SPECS, { math: value(math), code: value(code), memory: value(memory) });
        expect(got.worst).toBeLessThanOrEqual(got.quality + 1e-12);
        expect(got.worst).toBeLessThanOrEqual(got.weighted + 1e-12);
      }),
    );
  });
});

describe('brokenAxes', () => {
  const teacher = { math: value(0.69), code: value(0.7), kl: value(0) };
  const base = { math: value(0.3), code: value(0), kl: value(0) };

  it('names axes that the teacher fails or on which the base has nothing, never relative ones', () => {
    expect(brokenAxes(SPECS, teacher, base, { minTeacher: 0.7, needsBaseAboveZero: true })).toEqual(
      new Set(['math', 'code']),
    );
    expect(brokenAxes(SPECS, teacher, base, { minTeacher: 0.7, needsBaseAboveZero: false })).toEqual(new Set(['math']));
  });
});
