import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FreezeInput, freezeCandidates, judgedInTurn } from './candidates.ts';
import { byReveal, type Submission, submissionId } from './submission.ts';

const rules = {
  maxPerRound: 5,
  rateWindowBlocks: 7200,
  maxPerHotkey: 2,
  maxPerOwner: 2,
  stale: { failedVisits: 3, longestPauseRounds: 16 },
};

function submission(hotkey: string, block: number, repo = `${hotkey}/model`): Submission {
  return {
    id: submissionId(hotkey, block),
    uid: hotkey.charCodeAt(0),
    hotkey,
    repo,
    revision: 'a'.repeat(40),
    revealedAtBlock: block,
  };
}

function input(submissions: Submission[], more: Partial<FreezeInput> = {}): FreezeInput {
  const registered = new Map(submissions.map((s) => [s.hotkey, s.uid]));
  return {
    submissions,
    cutoffBlock: 10_000,
    registered,
    decided: new Set(),
    resting: new Set(),
    evaluations: [],
    ...more,
  };
}

const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id);

describe('freezeCandidates', () => {
  it('takes the latest reveal per hotkey, first revealed first', () => {
    const got = freezeCandidates(input([submission('b', 9), submission('a', 20), submission('b', 30)]), rules);
    expect(ids(got.candidates)).toEqual(['a:20', 'b:30']);
    expect(got.superseded).toEqual([{ id: 'b:9', by: 'b:30' }]);
  });

  it('a reveal after the cutoff neither takes part nor replaces an earlier one', () => {
    const got = freezeCandidates(input([submission('a', 10_000), submission('a', 10_001)]), rules);
    expect(ids(got.candidates)).toEqual(['a:10000']);
    expect(got.waiting).toEqual([{ id: 'a:10001', reason: 'candidates.after_cutoff' }]);
  });

  it('a stale submission gives its place to the next one; a newer commitment takes its own', () => {
    const stale = ['a', 'b', 'c', 'd', 'e', 'f'].map((hotkey, i) => submission(hotkey, i + 1));
    const got = freezeCandidates(input([...stale, submission('b', 20)], { resting: new Set(['a:1', 'b:2']) }), rules);
    expect(ids(got.candidates)).toEqual(['c:3', 'd:4', 'e:5', 'f:6', 'b:20']);
    expect(got.waiting).toEqual([{ id: 'a:1', reason: 'candidates.stale' }]);
  });

  it('evaluates a commitment once', () => {
    const got = freezeCandidates(input([submission('a', 1), submission('a', 2)], { decided: new Set(['a:2']) }), rules);
    expect(got.candidates).toEqual([]);
    expect(got.superseded).toEqual([{ id: 'a:1', by: 'a:2' }]);
  });

  it('caps the round and keeps the rest waiting', () => {
    const many = [...'hgfedcba'].map((hotkey, i) => submission(hotkey, 100 + i));
    const got = freezeCandidates(input(many), rules);
    expect(ids(got.candidates)).toEqual(['h:100', 'g:101', 'f:102', 'e:103', 'd:104']);
    expect(got.waiting.map(({ reason }) => reason)).toEqual(new Array(3).fill('candidates.round_full'));
  });

  it('limits evaluations per hotkey and per owner within the window', () => {
    const [a, b, c] = [submission('a', 1, 'Lab/x'), submission('b', 2, 'lab/y'), submission('c', 3, 'lab/z')];
    const past = (hotkey: string, repo: string, atBlock: number) => ({ hotkey, repo, atBlock });
    const spent = [past('a', 'q/1', 5000), past('a', 'q/2', 5000), past('z', 'lab/old', 2000)];
    const got = freezeCandidates(input([a, b, c], { evaluations: spent }), rules);
    expect(ids(got.candidates)).toEqual(['b:2', 'c:3']); // the old one left the window, so lab has two left
    expect(got.waiting).toEqual([{ id: 'a:1', reason: 'candidates.hotkey_rate' }]);
    const closer = freezeCandidates(input([a, b, c], { evaluations: [past('z', 'lab/old', 5000)] }), rules);
    expect(ids(closer.candidates)).toEqual(['a:1']);
    expect(closer.waiting).toEqual([
      { id: 'b:2', reason: 'candidates.owner_rate' },
      { id: 'c:3', reason: 'candidates.owner_rate' },
    ]);
  });

  it('uses the present uid of a hotkey and leaves out who is no longer registered', () => {
    const got = freezeCandidates(
      input([submission('a', 1), submission('b', 2)], { registered: new Map([['a', 7]]) }),
      rules,
    );
    expect(got.candidates).toMatchObject([{ id: 'a:1', uid: 7 }]);
    expect(got.waiting).toEqual([{ id: 'b:2', reason: 'candidates.not_registered' }]);
  });

  const anySubmissions = fc
    .uniqueArray(fc.tuple(fc.constantFrom(...'abcdefgh'), fc.nat(12_000)), {
      selector: ([hotkey, block]) => `${hotkey}${block}`,
      maxLength: 30,
    })
    .map((list) => list.map(([hotkey, block]) => submission(hotkey, block)));

  it('does not depend on the order in which commitments were read', () => {
    fc.assert(
      fc.property(anySubmissions, fc.infiniteStream(fc.nat()), (list, keys) => {
        const shuffled = list.map((s) => ({ s, key: keys.next().value as number })).sort((x, y) => x.key - y.key);
        const [a, b] = [list, shuffled.map(({ s }) => s)].map((order) => freezeCandidates(input(order), rules));
        expect(b!.candidates).toEqual(a!.candidates);
        expect(new Set(ids(b!.waiting))).toEqual(new Set(ids(a!.waiting)));
      }),
    );
  });

  it('every submission is a candidate, waiting or superseded: exactly one of them', () => {
    fc.assert(
      fc.property(anySubmissions, (list) => {
        const got = freezeCandidates(input(list), rules);
        const all = [...ids(got.candidates), ...ids(got.waiting), ...ids(got.superseded)];
        expect([...all].sort()).toEqual(ids(list).sort());
        expect([...got.candidates].sort(byReveal)).toEqual(got.candidates);
        expect(new Set(got.candidates.map(({ hotkey }) => hotkey)).size).toBe(got.candidates.length);
      }),
    );
  });
});

describe('judgedInTurn', () => {
  it('brings everybody up again, a few per round, nobody twice in one', () => {
    expect(judgedInTurn([], 7, 5)).toEqual([]);
    expect(judgedInTurn(['a', 'b'], 3, 5)).toHaveLength(2);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 7 }), fc.nat(1e6), (n, count, round) => {
        const all = Array.from({ length: n }, (_, i) => i);
        const rounds = Array.from({ length: Math.ceil(n / count) }, (_, i) => judgedInTurn(all, round + i, count));
        expect(new Set(rounds.flat()).size).toBe(n);
        for (const one of rounds) expect(new Set(one).size).toBe(Math.min(n, count));
      }),
    );
  });
});
