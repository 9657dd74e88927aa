import { openStore } from '@quasar/store';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NewContestEvent } from './events.ts';
import { Contest, rebuildContest } from './projection.ts';
import { summarize } from './summary.ts';

const at = { round: 1, atBlock: 40 };
const model = (id: string) => ({ uid: id.charCodeAt(0), repo: `${id}/m`, revision: id.repeat(40) });
const seen = (id: string, block = 5): NewContestEvent => ({
  type: 'submission.seen',
  data: { ...at, id, ...model(id), hotkey: `key-${id}`, revealedAtBlock: block },
});
const started = (round: number, candidates: string[], incumbent = 'base'): NewContestEvent => ({
  type: 'round.started',
  data: {
    ...{ round, atBlock: round * 40, startBlock: round * 40, cutoffBlock: round * 40 - 2, seedBlock: round * 40 },
    ...{ seedHash: '0x1', activationBlock: round * 40 + 10, candidates, waiting: [], incumbent, configHash: 'rules' },
  },
});
const duel = (id: string, win: boolean, passed = true): NewContestEvent => ({
  type: 'duel.judged',
  data: {
    ...{ ...at, id, ...model(id), king: { uid: -1, repo: 'base', revision: '' }, n: 120, meanDelta: 0.1 },
    ...{ se: 0.01, t: 10, p: 0, lcb: 0.08, kingKl: 1, challengerKl: 0.9, win },
    bootstrap: { low: 0.08, high: 0.12, resamples: 100, seed: 's' },
    ...{ sequential: { reason: 'last_look', prompts: 120, logEvidence: 50, winProbability: 1 }, pareto: null },
    crownGate: { quality: 0.5, kingQuality: 0.5, passed, reasons: passed ? [] : ['too low'] },
  },
});
const crowned = (id: string, reign: number): NewContestEvent => ({
  type: 'king.crowned',
  data: { ...at, id, ...model(id), hotkey: `key-${id}`, crownedAtBlock: 50, reign, previous: null, source: 'duel' },
});
const finished = (round: number): NewContestEvent => ({
  type: 'round.finished',
  data: { round, atBlock: 50, king: null, outcome: 'crowned' },
});
const failed = (id: string, final: boolean): NewContestEvent => ({
  type: 'evaluation.failed',
  data: { ...at, id, uid: 1, error: { code: 'evals.not_finite', message: 'KL is NaN' }, attempt: 1, final },
});

const LOG: NewContestEvent[] = [
  seen('a'),
  seen('b', 6),
  seen('c', 7),
  seen('d', 8),
  started(1, ['a', 'b', 'c', 'd']),
  {
    type: 'submission.rejected',
    data: { ...at, id: 'd', ...model('d'), status: 'COPY', issues: [{ code: 'copy.same_content', message: 'same' }] },
  },
  failed('c', false),
  failed('c', true),
  duel('a', true),
  duel('b', true, false),
  crowned('a', 1),
  { type: 'weights.set', data: { ...at, weights: [{ uid: 97, weight: 1 }], setAtBlock: 51 } },
  finished(1),
  seen('e', 60),
  started(2, ['e'], 'a'),
  { ...duel('e', true), data: { ...(duel('e', true).data as object), round: 2 } } as NewContestEvent,
  crowned('e', 2),
  finished(2),
];

function logged(events: readonly NewContestEvent[]) {
  const store = openStore({ path: ':memory:' });
  store.appendAll(events);
  const all = store.events();
  store.close();
  return all;
}

const view = (contest: Contest) => ({ ...summarize(contest), evaluations: contest.evaluations, king: contest.king });

describe('Contest', () => {
  const events = logged(LOG);

  it('tells what became of everybody', () => {
    const contest = rebuildContest(events);
    const statuses = Object.fromEntries([...contest.submissions].map(([id, { status }]) => [id, status]));
    expect(statuses).toEqual({ a: 'dethroned', b: 'lost', c: 'EVAL_ERROR', d: 'COPY', e: 'king' });
    expect(contest.submissions.get('c')!.issues).toEqual([{ code: 'evals.not_finite', message: 'KL is NaN' }]);
    expect(contest.submissions.get('b')!.issues[0]!.message).toBe('too low');
    expect(contest.reigns.map(({ id }) => id)).toEqual(['a', 'e']);
    expect(contest.openRound).toBeNull();
    expect(contest.decided()).toEqual(new Set(['a', 'b', 'c', 'd', 'e']));
  });

  it('a winner stays pending until the crown, so that a tied one comes again', () => {
    const contest = rebuildContest(logged(LOG.slice(0, 10)));
    expect(contest.submissions.get('a')!.status).toBe('pending');
    expect(contest.openRound?.round).toBe(1);
  });

  it('is the same rebuilt or followed, in one piece or with events delivered twice', () => {
    const whole = view(rebuildContest(events));
    fc.assert(
      fc.property(fc.array(fc.nat(events.length)), (stops) => {
        const contest = new Contest();
        for (const stop of [...stops, events.length]) for (const event of events.slice(0, stop)) contest.apply(event);
        expect(view(contest)).toEqual(whole);
      }),
    );
  });

  it('ignores types it does not know', () => {
    const contest = rebuildContest([{ seq: 1, type: 'constructor', key: null, atMs: 0, data: {} }]);
    expect(contest.lastSeq).toBe(1);
  });
});
