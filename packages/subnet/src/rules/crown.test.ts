import { type Composite, pairedTest } from '@quasar/evals';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UPSTREAM } from './config.ts';
import { crownGate, type DuelEntry, decideCrown, tieCluster } from './crown.ts';

const rules = UPSTREAM.crown;
const paired = UPSTREAM.duel;
const N = 120;
const king = Array.from({ length: N }, (_, i) => 2 + 0.1 * Math.sin(i));

function composite(quality: number, qualityAxes = 8): Composite {
  return { axes: {}, weighted: quality, worst: quality / 2, worstAxis: 'math', quality, qualityAxes };
}

/** A challenger that is `gain` nats better on average, with noise of its own. */
function entry(id: string, block: number, gain: number, more: { quality?: number; noise?: number } = {}): DuelEntry {
  const { quality = 0.5, noise = 0.01 } = more;
  const phase = id.charCodeAt(0);
  const kl = king.map((k, i) => k - gain + noise * Math.sin(phase * (i + 1)));
  return {
    submission: { id, uid: phase, hotkey: id, repo: `${id}/m`, revision: id, revealedAtBlock: block },
    klPerPrompt: kl,
    kl: kl.reduce((a, b) => a + b) / N,
    test: pairedTest(king, kl, paired),
    composite: composite(quality),
  };
}

const decide = (entries: DuelEntry[], kingQuality = 0.5) => decideCrown(entries, kingQuality, rules, paired);

describe('crownGate', () => {
  it('allows a loss of 3 %, not more', () => {
    expect(crownGate(composite(0.4851), 0.5, rules).passed).toBe(true);
    expect(crownGate(composite(0.4849), 0.5, rules)).toMatchObject({ passed: false, kingQuality: 0.5 });
  });

  it('says every reason', () => {
    const { passed, reasons } = crownGate(composite(0.01, 3), 0.5, rules);
    expect(passed).toBe(false);
    expect(reasons).toHaveLength(3);
    expect(reasons[1]).toContain('floor 0.06');
  });

  it('a quality that is no number passes nothing', () => {
    expect(crownGate(composite(Number.NaN), 0, rules).passed).toBe(false);
  });
});

describe('decideCrown', () => {
  it('keeps the king without challengers, against worse ones, and when only one gate is passed', () => {
    expect(decide([]).crowned).toBeNull();
    expect(decide([entry('a', 1, -0.1)]).crowned).toBeNull();
    expect(decide([entry('a', 1, 0.1, { quality: 0.3 })]).crowned).toBeNull();
    expect(decide([entry('a', 1, -0.1, { quality: 0.9 })]).crowned).toBeNull();
  });

  it('crowns who passes both gates', () => {
    const got = decide([entry('a', 1, 0.1), entry('b', 2, -0.1)]);
    expect(got.crowned?.submission.id).toBe('a');
    expect(got).toMatchObject({ deferred: [], outranked: [] });
  });

  it('in a tie the earliest reveal wins, the others meet the new king', () => {
    const got = decide([entry('c', 30, 0.1, { quality: 0.6 }), entry('b', 10, 0.1), entry('a', 20, 0.1)]);
    expect(got.crowned?.submission.id).toBe('b');
    expect(got.deferred.sort()).toEqual(['a', 'c']);
  });

  it('a clear best is not replaced by an earlier, worse winner', () => {
    const got = decide([entry('a', 1, 0.1), entry('b', 2, 0.3, { quality: 0.6 })]);
    expect(got.crowned?.submission.id).toBe('b');
    expect(got.outranked).toEqual(['a']);
  });

  it('noise copies of a winner never take the crown from it, however many', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.double({ min: 0.45, max: 0.9, noNaN: true }), (count, quality) => {
        const original = entry('o', 5, 0.1, { quality: 0.5 });
        const copies = Array.from({ length: count }, (_, i) => entry('pqrs'[i]!, 6 + i, 0.1, { quality }));
        const got = decide([...copies, original], 0.45);
        expect(got.crowned?.submission.id).toBe('o');
      }),
    );
  });

  it('the decision does not depend on the order of the entries', () => {
    const entries = [entry('a', 4, 0.1), entry('b', 3, 0.1), entry('c', 2, 0.2), entry('d', 1, -0.2)];
    fc.assert(
      fc.property(fc.shuffledSubarray(entries, { minLength: 4 }), (shuffled) => {
        expect(decide(shuffled).crowned?.submission.id).toBe(decide(entries).crowned?.submission.id);
      }),
    );
  });
});

describe('properties of the crown rule', () => {
  const anyEntry = fc.record({
    block: fc.nat(50),
    gain: fc.constantFrom(-0.1, 0, 0.0005, 0.05, 0.1, 0.101, 0.3),
    quality: fc.double({ min: 0, max: 1, noNaN: true }),
    noise: fc.constantFrom(0, 0.001, 0.01, 0.2),
    prompts: fc.constantFrom(N, 104, 60),
  });
  const someEntries = fc.array(anyEntry, { maxLength: 5 }).map((list) =>
    list.map(({ block, gain, quality, noise, prompts }, i) => {
      const made = entry('abcde'[i]!, block, gain, { quality, noise });
      const kl = made.klPerPrompt.slice(0, prompts);
      return { ...made, klPerPrompt: kl, test: pairedTest(king.slice(0, prompts), kl, paired) };
    }),
  );
  const idOf = (got: ReturnType<typeof decide>) => got.crowned?.submission.id ?? null;

  it('crowns only who passes both gates, and somebody when anybody does; every winner has one fate', () => {
    fc.assert(
      fc.property(someEntries, (entries) => {
        const got = decide(entries);
        const winners = entries.filter(({ test, submission }) => test.win && got.gates.get(submission.id)!.passed);
        const ids = winners.map(({ submission }) => submission.id).sort();
        expect([idOf(got), ...got.deferred, ...got.outranked].filter((id) => id !== null).sort()).toEqual(ids);
        expect(got.crowned === null).toBe(winners.length === 0);
      }),
    );
  });

  it('the order of the entries changes nothing', () => {
    fc.assert(
      fc.property(someEntries, fc.infiniteStream(fc.nat()), (entries, keys) => {
        const shuffled = entries.map((one) => ({ one, key: keys.next().value })).sort((a, b) => a.key - b.key);
        const [one, two] = [decide(entries), decide(shuffled.map((pair) => pair.one))];
        expect(idOf(two)).toBe(idOf(one));
        expect([...two.deferred].sort()).toEqual([...one.deferred].sort());
        expect([...two.outranked].sort()).toEqual([...one.outranked].sort());
      }),
    );
  });

  it('losers change nothing', () => {
    fc.assert(
      fc.property(someEntries, (entries) => {
        const all = decide(entries);
        const winners = entries.filter(({ test, submission }) => test.win && all.gates.get(submission.id)!.passed);
        expect(idOf(decide(winners))).toBe(idOf(all));
      }),
    );
  });

  it('a stricter gate never crowns where a milder one kept the king', () => {
    const share = fc.double({ min: 0, max: 0.5, noNaN: true });
    fc.assert(
      fc.property(someEntries, share, share, (entries, a, b) => {
        const crowned = (qualityTolerance: number) =>
          decideCrown(entries, 0.5, { ...rules, qualityTolerance }, paired).crowned !== null;
        if (crowned(Math.min(a, b))) expect(crowned(Math.max(a, b))).toBe(true);
      }),
    );
  });

  it('a better KL on every prompt never costs a single challenger the crown', () => {
    fc.assert(
      fc.property(someEntries, fc.double({ min: 0, max: 0.2, noNaN: true }), ([one], gain) => {
        fc.pre(one !== undefined);
        const kl = one!.klPerPrompt.map((x) => x - gain);
        const better = { ...one!, klPerPrompt: kl, test: pairedTest(king.slice(0, kl.length), kl, paired) };
        if (decide([one!]).crowned) expect(decide([better]).crowned).not.toBeNull();
      }),
    );
  });

  it('clones revealed later never take the crown from whom they copy, nor from anybody else', () => {
    fc.assert(
      fc.property(someEntries, fc.nat(4), fc.integer({ min: 1, max: 3 }), (entries, which, count) => {
        fc.pre(entries.length > 0);
        const original = entries[which % entries.length]!;
        const clones = Array.from({ length: count }, (_, i) => {
          const { submission, klPerPrompt } = original;
          const kl = klPerPrompt.map((x, j) => x + 1e-6 * Math.sin(7 * j + i));
          const id = `clone${i}`;
          return {
            ...original,
            ...{ klPerPrompt: kl, test: original.test },
            submission: { ...submission, id, uid: 900 + i, revealedAtBlock: submission.revealedAtBlock! + 1 + i },
          };
        });
        expect(idOf(decide([...clones, ...entries]))).toBe(idOf(decide(entries)));
      }),
    );
  });
});

describe('tieCluster', () => {
  it('compares duels that ended at different prompts on those that both had', () => {
    const [a, b] = [entry('a', 1, 0.1), entry('b', 2, 0.1)];
    const short = { ...b!, klPerPrompt: b!.klPerPrompt.slice(0, 104) };
    expect(tieCluster([a!, short], paired)).toHaveLength(2);
    expect(tieCluster([a!, entry('c', 3, 0.3)], paired)).toHaveLength(1);
  });

  it('is connected through pairwise ties, not only with the first', () => {
    // Beyond the margin, a-b and b-c differ by less than can be told apart, a-c by more.
    const [a, b, c] = [0.1, 0.0975, 0.095].map((gain, i) => entry('abc'[i]!, i, gain, { noise: 0.006 }));
    const near = tieCluster([a!, b!, c!], paired).map((e) => e.submission.id);
    expect(near).toEqual(['a', 'b', 'c']);
    expect(tieCluster([a!, c!], paired)).toHaveLength(1);
  });
});
