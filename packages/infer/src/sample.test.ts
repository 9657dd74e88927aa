/** @file Sampling: the exact inverse of the distribution, the filters, ties, and logits that are no numbers. */
import { Rng } from '@quasar/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleToken } from './sample.ts';

/** A generator whose next draw is `u`. */
class Fixed extends Rng {
  readonly #u: number;
  constructor(u: number) {
    super('fixed');
    this.#u = u;
  }
  override next(): number {
    return this.#u;
  }
}

/** Equal or clearly apart, so that rounding decides no order. */
const logit = fc.integer({ min: -800, max: 800 }).map((n) => n / 64);
const logits = fc.array(logit, { minLength: 1, maxLength: 30 });
const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

function softmax(values: readonly number[], temperature = 1): number[] {
  const top = Math.max(...values);
  const mass = values.map((z) => Math.exp((z - top) / temperature));
  const sum = mass.reduce((a, b) => a + b, 0);
  return mass.map((m) => m / sum);
}

/** Ids by mass, best first, ties by id. */
const ranked = (p: readonly number[]) => [...p.keys()].sort((a, b) => (p[b] as number) - (p[a] as number) || a - b);

describe('sampleToken', () => {
  it('inverts the cumulative distribution', () => {
    fc.assert(
      fc.property(logits, unit, fc.double({ min: 0.2, max: 3, noNaN: true }), (z, u, temperature) => {
        const { token } = sampleToken(z, { temperature }, new Fixed(u));
        const p = softmax(z, temperature);
        const below = p.slice(0, token).reduce((a, b) => a + b, 0);
        expect(u).toBeGreaterThanOrEqual(below - 1e-12);
        expect(u).toBeLessThan(below + (p[token] as number) + 1e-12);
      }),
    );
  });

  it('reports the log-probability under the plain distribution, whatever the filters', () => {
    fc.assert(
      fc.property(logits, unit, unit, fc.integer({ min: 1, max: 30 }), (z, u, topP, topK) => {
        const { token, logprob } = sampleToken(z, { temperature: 0.7, topP, topK }, new Fixed(u));
        expect(logprob).toBeCloseTo(Math.log(softmax(z)[token] as number), 9);
      }),
    );
  });

  it('greedy takes the largest logit, the lowest id of equals, and draws nothing', () => {
    fc.assert(
      fc.property(logits, fc.constantFrom(0, -1, Number.NaN), (z, temperature) => {
        expect(sampleToken(z, { temperature }, new Fixed(0.999)).token).toBe(z.indexOf(Math.max(...z)));
      }),
    );
    expect(sampleToken([1, 3, 3, 0], { temperature: 0 }, new Fixed(0)).token).toBe(1);
  });

  it('top-k, then top-p: the fewest of the k best that reach the share of their mass, each of them possible', () => {
    fc.assert(
      fc.property(logits, unit, fc.integer({ min: 1, max: 30 }), (z, topP, topK) => {
        const p = softmax(z);
        const best = ranked(p).slice(0, topK);
        const enough = topP * best.reduce((sum, v) => sum + (p[v] as number), 0);
        let kept = 0;
        const allowed = best.filter((v, i) => {
          const isNeeded = i === 0 || kept < enough - 1e-12;
          kept += p[v] as number;
          return isNeeded;
        });
        for (const u of [0, 0.25, 0.5, 0.75, 1 - 1e-9])
          expect(allowed).toContain(sampleToken(z, { topP, topK }, new Fixed(u)).token);
        expect(sampleToken(z, { topP, topK }, new Fixed(0)).token).toBe(best[0]);
      }),
    );
  });

  it('filters renormalise: the draw among what is left is in proportion to its mass', () => {
    const z = [Math.log(0.5), Math.log(0.2), Math.log(0.2), Math.log(0.1)];
    const at = (u: number, options: object) => sampleToken(z, options, new Fixed(u)).token;
    expect([0, 0.7, 0.72, 0.99].map((u) => at(u, { topK: 2 }))).toEqual([0, 0, 1, 1]);
    expect([0.5, 0.6, 0.8].map((u) => at(u, { topP: 0.85 }))).toEqual([0, 1, 2]);
    // Of the two best, which hold 0.7, the first alone has 0.714 of the mass.
    expect(at(0.99, { topK: 2, topP: 0.7 })).toBe(0);
    expect(at(0.99, { topK: 2, topP: 0.72 })).toBe(1);
    for (const options of [{ topP: 0 }, { topK: 0 }, { topK: 1 }, { topP: -1 }]) expect(at(0.99, options)).toBe(0);
  });

  it('frequencies follow the distribution', () => {
    const z = [0, 1, 2, -1, 0.5];
    const counts = new Array<number>(5).fill(0);
    const rng = new Rng('frequencies');
    const draws = 20_000;
    for (let i = 0; i < draws; i++) {
      const { token } = sampleToken(z, {}, rng);
      counts[token] = (counts[token] as number) + 1;
    }
    softmax(z).forEach((p, v) => {
      const sigma = Math.sqrt(p * (1 - p) * draws);
      expect(Math.abs((counts[v] as number) - p * draws)).toBeLessThan(4 * sigma);
    });
  });

  it('equal seeds replay', () => {
    const run = () => {
      const rng = new Rng('replay');
      return Array.from({ length: 50 }, () => sampleToken([1, 2, 3, 2], { topP: 0.95 }, rng).token);
    };
    expect(run()).toEqual(run());
    expect(new Set(run()).size).toBeGreaterThan(1);
  });

  it('never takes what has no mass', () => {
    const masked = [Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY];
    for (const u of [0, 0.5, 0.9999999, 1 - 2 ** -53])
      for (const options of [{}, { topP: 0.999 }, { topK: 4 }])
        expect([1, 3]).toContain(sampleToken(masked, options, new Fixed(u)).token);
    // Draws next to 1, where rounding leaves a crumb after the last token with mass.
    const rng = new Rng('crumbs');
    for (let i = 0; i < 300; i++) {
      const z = [...Array.from({ length: 40 }, () => 3 * rng.normal()), Number.NEGATIVE_INFINITY];
      expect(sampleToken(z, {}, new Fixed(1 - 2 ** -53)).token).toBeLessThan(40);
    }
    expect(sampleToken([0, -1e5], { temperature: 1e-300 }, new Fixed(0.99)).token).toBe(0);
  });

  it('logits that are no numbers end, too', () => {
    const { NaN: nan, POSITIVE_INFINITY: up, NEGATIVE_INFINITY: down } = Number;
    for (const options of [{}, { temperature: 0 }, { topP: 0.5 }, { topK: 2 }]) {
      const at = (z: number[]) => sampleToken(z, options, new Fixed(0.999));
      expect(at([nan, nan, nan])).toEqual({ token: 0, logprob: nan });
      expect(at([down, down])).toEqual({ token: 0, logprob: nan });
      expect(at([0, up, up])).toEqual({ token: 1, logprob: nan });
      expect(at([nan, 5, nan])).toEqual({ token: 1, logprob: 0 });
    }
  });
});
