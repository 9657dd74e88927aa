import type { Composite } from '@quasar/evals';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UPSTREAM } from './config.ts';
import { paretoView } from './pareto.ts';

const rules = UPSTREAM.pareto;

function composite(values: Record<string, number>, broken: string[] = []): Composite {
  const axes = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { value, n: 8, broken: broken.includes(name) }]),
  );
  return { axes, weighted: 0, worst: 0, worstAxis: null, quality: 0, qualityAxes: 0 };
}

describe('paretoView', () => {
  const king = composite({ a: 0.5, b: 0.5, c: 0.5, d: 0.5, e: 0.5 });

  it('counts differences beyond the margin', () => {
    const view = paretoView(composite({ a: 0.521, b: 0.515, c: 0.485, d: 0.479, e: 0.9 }), king, rules);
    expect(view).toEqual({ wins: ['a', 'e'], losses: ['d'], ties: ['b', 'c'], dominates: false });
  });

  it('dominates with most of at least five axes', () => {
    const better = { a: 0.6, b: 0.6, c: 0.6, d: 0.4, e: 0.4 };
    expect(paretoView(composite(better), king, rules).dominates).toBe(true);
    expect(paretoView(composite({ ...better, c: 0.5 }), king, rules).dominates).toBe(false);
    const { e: _, ...four } = better;
    expect(paretoView(composite(four), king, rules).dominates).toBe(false);
  });

  it('axes that are broken or that one of them lacks are not compared', () => {
    const all = { a: 0.9, b: 0.9, c: 0.9, d: 0.9, e: 0.9, f: 0.9 };
    expect(paretoView(composite(all, ['b']), king, rules).wins).toEqual(['a', 'c', 'd', 'e']);
  });

  it('two models never dominate each other', () => {
    const axes = fc.dictionary(fc.constantFrom(...'abcdefgh'), fc.double({ min: 0, max: 1, noNaN: true }));
    fc.assert(
      fc.property(axes, axes, (one, two) => {
        const [a, b] = [composite(one), composite(two)];
        const [forward, backward] = [paretoView(a, b, rules), paretoView(b, a, rules)];
        expect(forward.dominates && backward.dominates).toBe(false);
        expect([...forward.wins].sort()).toEqual([...backward.losses].sort());
      }),
    );
  });
});
