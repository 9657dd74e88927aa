/** @file From events in a real store to the dashboard JSON. */
import { openStore, type Store } from '@quasar/store';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SampleContest, type SampleEvent, sampleEvents } from '../testing/sample-log.ts';
import type { Dashboard } from '../wire.ts';
import { LIMITS } from './contest-log.ts';
import { DashboardReader } from './dashboard.ts';
import { TRACE_POINTS } from './running-evaluation.ts';

let store: Store;

beforeEach(() => {
  store = openStore({ path: ':memory:' });
});

afterEach(() => store.close());

function show(events: SampleEvent[]): Dashboard {
  store.appendAll(events);
  return new DashboardReader(store, null).read();
}

const statuses = ({ submissions }: Dashboard) =>
  Object.fromEntries(submissions.map((one) => [one.hf_repo, one.status]));

describe('a whole contest', () => {
  const events = sampleEvents();

  it('knows the king, his predecessors and his weights', () => {
    const { king, reigns, weights } = show(events);
    expect(reigns.map((reign) => [reign.reign_number, reign.uid])).toEqual([
      [3, 4],
      [2, 11],
      [1, 7],
    ]);
    expect(king).toEqual(reigns[0]);
    expect(king?.previous?.uid).toBe(11);
    expect(weights?.targets).toEqual([
      { uid: 4, weight: 0.9, is_king: true },
      { uid: 0, weight: 0.1, is_king: false },
    ]);
  });

  it('gives every submission the status that the contest gave it', () => {
    expect(statuses(show(events))).toMatchObject({
      'kepler/distil-v4': 'king',
      'opal-labs/second-light': 'dethroned',
      'northstar/quasar-tiny-a': 'dethroned',
      'kepler/distil-v3': 'lost',
      'saturn/ember': 'lost',
      'mirror/totally-mine': 'COPY',
      'haste/wrong-shape': 'INVALID',
      'ghost/gone': 'REMOVED',
      'heavy/checkpoint': 'EVAL_ERROR',
      'redshift/longer-context-student': 'pending',
    });
  });

  it('explains each loss and each refusal', () => {
    const { submissions } = show(events);
    for (const { hf_repo, status, notes } of submissions)
      expect(notes.length > 0, `${hf_repo} ${status}`).toBe(!['king', 'dethroned', 'pending'].includes(status));
    const copy = submissions.find((one) => one.status === 'COPY');
    expect(copy?.original).toMatchObject({ uid: 7, hf_repo: 'northstar/quasar-tiny-a' });
  });

  it('tells a lost duel from a won one and from a crown gate', () => {
    const { history } = show(events);
    const duelOf = (repo: string) => history.find((duel) => duel.challenger_repo === repo);
    expect(duelOf('saturn/ember')).toMatchObject({ verdict: 'no_win', accepted: false });
    expect(duelOf('kepler/distil-v4')).toMatchObject({ verdict: 'win', accepted: true });
    expect(duelOf('kepler/distil-v3')).toMatchObject({ verdict: 'gate_failed', accepted: false });
    expect(history.map((duel) => duel.seq)).toEqual(history.map((duel) => duel.seq).toSorted((a, b) => b - a));
  });

  it('shows the scores of both sides of a duel', () => {
    for (const duel of show(events).history) {
      expect(duel.composite?.quality).toBe(duel.crown_quality);
      expect(duel.king_composite?.quality).toBe(duel.crown_king_quality);
    }
  });

  it('follows the duel that runs', () => {
    const { current_eval, status } = show(events);
    expect(current_eval).toMatchObject({ uid: 23, role: 'challenger', phase: 'kl', progress: 96, total: 150 });
    expect(current_eval?.trace.at(-1)).toEqual([96, current_eval?.mu_hat]);
    expect(status).toMatchObject({ mode: 'evaluating', round: 6 });
  });

  it('tells each event but the steps of an evaluation in one line', () => {
    const told = events.filter((event) => event.type !== 'evaluation.progress').length;
    const feed = show(events).events;
    expect(feed).toHaveLength(told);
    for (const item of feed) expect(item.text).not.toMatch(/undefined|NaN|\[object/);
  });
});

it('a winner that is not crowned stays pending for the next round', () => {
  const contest = new SampleContest();
  const [first, second] = [contest.entrant(1, 'a/first', 0.3), contest.entrant(2, 'b/second', 0.25)];
  const dashboard = show([
    contest.seen(first),
    contest.seen(second),
    contest.startRound([first, second]),
    ...contest.duel(first),
    ...contest.duel(second),
    ...contest.crown(first),
  ]);
  expect(statuses(dashboard)).toEqual({ 'a/first': 'king', 'b/second': 'pending' });
});

it('a removed king leaves the throne empty, and his reign in the list', () => {
  const contest = new SampleContest();
  const king = contest.entrant(1, 'a/king', 0.3);
  const {
    king: now,
    reigns,
    state_king_uid,
  } = show([
    contest.seen(king),
    contest.startRound([king]),
    ...contest.duel(king),
    ...contest.crown(king),
    contest.rejected(king, 'REMOVED', []),
  ]);
  expect([now, state_king_uid, reigns.length]).toEqual([null, null, 1]);
});

it('a failed attempt that is not final changes no status', () => {
  const contest = new SampleContest();
  const one = contest.entrant(1, 'a/first', 0.3);
  const dashboard = show([contest.seen(one), contest.startRound([one]), contest.failed(one, 1, false)]);
  expect(statuses(dashboard)).toEqual({ 'a/first': 'pending' });
  expect(dashboard.submissions[0]?.notes).toHaveLength(1);
});

it('keeps its lists bounded, and the king in them', () => {
  const contest = new SampleContest();
  const king = contest.entrant(1, 'a/king', 0.3);
  const events = [contest.seen(king), contest.startRound([king]), ...contest.duel(king), ...contest.crown(king)];
  for (let i = 0; i < LIMITS.submissions + 50; i++) {
    contest.atBlock++;
    events.push(contest.seen(contest.entrant(2, `b/${i}`, 0)));
  }
  const dashboard = show(events);
  expect(dashboard.submissions).toHaveLength(LIMITS.submissions + 1);
  expect(statuses(dashboard)['a/king']).toBe('king');
  expect(dashboard.events).toHaveLength(LIMITS.feed);
});

describe('the curve of a running duel', () => {
  const progress = (done: number, change: object = {}): SampleEvent => ({
    type: 'evaluation.progress',
    data: { id: 'x', uid: 1, repo: 'a/b', phase: 'kl', done, total: 5000, meanDelta: done / 5000, ...change },
  });
  const [, ...steps] = Array.from({ length: 1001 }, (_, i) => progress(i));

  it('begins again in another round, and keeps its last point however long it gets', () => {
    const trace = show([progress(4000), ...steps]).current_eval?.trace ?? [];
    expect(trace.length).toBeLessThanOrEqual(TRACE_POINTS);
    expect(trace.at(-1)?.[0]).toBeGreaterThan(990);
    expect(Math.max(...trace.map(([done]) => done))).toBeLessThanOrEqual(1000);
  });

  it('stays while the tasks of the axes are answered', () => {
    const evaluation = show([
      progress(10),
      progress(20),
      progress(3, { phase: 'axes', total: 40, meanDelta: undefined }),
    ]);
    expect(evaluation.current_eval).toMatchObject({
      phase: 'axes',
      progress: 3,
      total: 40,
      mu_hat: 0.004,
      trace_total: 5000,
    });
    expect(evaluation.current_eval?.trace).toHaveLength(2);
  });

  it.each([
    ['stopped', progress(0, { phase: 'stopped' })],
    ['judged', { type: 'round.judged', data: { round: 1, atBlock: 1, crowned: null, deferred: [], configHash: '' } }],
  ])('ends when it is %s', (_, event) => {
    expect(show([progress(10), event]).current_eval).toBeNull();
  });

  it.each([
    [-2, 'teacher'],
    [-1, 'base'],
    [1, 'challenger'],
  ])('uid %i is the %s', (uid, role) => {
    expect(show([progress(1, { uid })]).current_eval?.role).toBe(role);
  });
});

it('shows how the king did when nobody challenged it, until there is another king', () => {
  const contest = new SampleContest();
  const [ann, bob] = [contest.entrant(1, 'ann/m', 0.1), contest.entrant(2, 'bob/m', 0.2)];
  const { id, uid, repo, revision } = ann;
  const measured = {
    round: 9,
    atBlock: 99,
    id,
    uid,
    repo,
    revision,
    prompts: 60,
    kl: 0.5,
    baseKl: 0.75,
    quality: 0.625,
  };
  const quiet = (issue: object | null) => ({ type: 'king.revalidated', data: { ...measured, issue } });
  const reader = new DashboardReader(store, null);
  store.appendAll([contest.seen(ann), contest.seen(bob), ...contest.crown(ann)]);
  expect(reader.read().king?.last_measured).toBeNull();
  store.appendAll([quiet(null)]);
  const { king, events } = reader.read();
  expect(king?.last_measured).toEqual({ round: 9, prompts: 60, kl: 0.5, base_kl: 0.75, quality: 0.625 });
  expect(events[0]).toMatchObject({
    tone: 'good',
    text: expect.stringContaining('King uid 1 measured again and stands'),
  });
  store.appendAll([quiet({ code: 'eval.below_floor', message: 'quality 0.0000 is below the floor' })]);
  expect(reader.read().events[0]).toMatchObject({ tone: 'bad', text: expect.stringContaining('below the floor') });
  store.appendAll(contest.crown(bob));
  expect(reader.read().king).toMatchObject({ uid: 2, last_measured: null });
});

it('removes control characters from what strangers wrote', () => {
  const contest = new SampleContest();
  const { submissions, events } = show([contest.seen(contest.entrant(1, 'a/\u001b[2Jevil\u202e', 0))]);
  expect(submissions[0]?.hf_repo).toBe('a/ [2Jevil');
  expect(events[0]?.text).toContain('a/ [2Jevil @');
});

it('counts what it cannot read, and goes on', () => {
  const reader = new DashboardReader(store, null);
  store.append('duel.judged', { round: 1 });
  store.append('king.crowned', null);
  const contest = new SampleContest();
  store.appendAll([contest.seen(contest.entrant(1, 'a/b', 0))]);
  expect(statuses(reader.read())).toEqual({ 'a/b': 'pending' });
  expect(reader.log.unreadable).toBe(2);
});

it('ignores events of types it does not know', () => {
  fc.assert(
    fc.property(fc.string(), fc.jsonValue(), (type, data) => {
      store.append(`other.${type}`, data);
      expect(new DashboardReader(store, null).read()).toMatchObject({ king: null, submissions: [], events: [] });
    }),
    { numRuns: 20 },
  );
});
