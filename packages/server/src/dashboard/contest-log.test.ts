import type { StoredEvent } from '@quasar/store';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SampleContest, type SampleEvent, sampleEvents } from '../testing/sample-log.ts';
import { ContestLog, LIMITS } from './contest-log.ts';
import { EVENT_SCHEMAS } from './events.ts';

function fold(events: SampleEvent[]): ContestLog {
  const log = new ContestLog();
  for (const [index, { type, data }] of events.entries())
    log.apply({ seq: index + 1, type, key: null, atMs: 1000 * (index + 1), data } as StoredEvent);
  return log;
}

const statuses = (log: ContestLog) =>
  Object.fromEntries([...log.submissions.values()].map((one) => [one.hf_repo, one.status]));

describe('a whole contest', () => {
  const events = sampleEvents();
  const log = fold(events);

  it('knows the king, his predecessors and his weights', () => {
    expect(log.reigns.map((king) => [king.reign_number, king.uid])).toEqual([
      [1, 7],
      [2, 11],
      [3, 4],
    ]);
    expect(log.king?.previous?.uid).toBe(11);
    expect(log.weights.targets).toEqual([
      { uid: 4, weight: 0.9 },
      { uid: 0, weight: 0.1 },
    ]);
  });

  it('gives every submission the status that the contest gave it', () => {
    expect(statuses(log)).toMatchObject({
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
    for (const one of log.submissions.values())
      expect(one.notes.length > 0, `${one.hf_repo} ${one.status}`).toBe(
        !['king', 'dethroned', 'pending'].includes(one.status),
      );
    const copy = [...log.submissions.values()].find((one) => one.status === 'COPY');
    expect(copy?.original).toMatchObject({ uid: 7, hf_repo: 'northstar/quasar-tiny-a' });
  });

  it('tells a lost duel from a won one and from a crown gate', () => {
    const verdictOf = (repo: string) => log.duels.find((duel) => duel.challenger_repo === repo);
    expect(verdictOf('saturn/ember')).toMatchObject({ verdict: 'no_win', accepted: false });
    expect(verdictOf('kepler/distil-v4')).toMatchObject({ verdict: 'win', accepted: true });
    expect(verdictOf('kepler/distil-v3')).toMatchObject({ verdict: 'gate_failed', accepted: false });
  });

  it('follows the duel that runs', () => {
    expect(log.currentEval).toMatchObject({ uid: 23, phase_label: 'paired KL', progress: 96, total: 150 });
    expect(log.currentEval?.trace.at(-1)).toEqual([96, log.currentEval?.mu_hat]);
  });

  it('finds the scores of both sides of a duel', () => {
    const duel = log.duels.find((one) => one.challenger_repo === 'kepler/distil-v4');
    if (!duel) throw new Error('no duel');
    expect(log.compositeOf(duel.challenger_repo, duel.revision, duel.seq)?.quality).toBe(duel.crown_quality);
    expect(log.compositeOf(duel.king.hf_repo, duel.king.revision, duel.seq)?.quality).toBe(duel.crown_king_quality);
    expect(log.compositeOf('nobody/nothing', duel.revision, duel.seq)).toBeNull();
  });

  it('has a line in the feed for every event but progress', () => {
    const told = events.filter((event) => event.type !== 'evaluation.progress').length;
    expect(log.feed).toHaveLength(told);
    for (const item of log.feed) expect(item.text).not.toMatch(/undefined|NaN|\[object/);
  });
});

it('a winner that is not crowned stays pending for the next round', () => {
  const contest = new SampleContest();
  const [first, second] = [contest.entrant(1, 'a/first', 0.3), contest.entrant(2, 'b/second', 0.25)];
  const log = fold([
    contest.seen(first),
    contest.seen(second),
    ...contest.duel(first),
    ...contest.duel(second),
    ...contest.crown(first),
  ]);
  expect(statuses(log)).toEqual({ 'a/first': 'king', 'b/second': 'pending' });
});

it('a failed attempt that is not final changes no status', () => {
  const contest = new SampleContest();
  const one = contest.entrant(1, 'a/first', 0.3);
  const log = fold([contest.seen(one), contest.failed(one, 1, false)]);
  expect(statuses(log)).toEqual({ 'a/first': 'pending' });
  expect([...log.submissions.values()][0]?.notes).toHaveLength(1);
});

it('keeps its lists bounded, and the king in them', () => {
  const contest = new SampleContest();
  const king = contest.entrant(1, 'a/king', 0.3);
  const events = [contest.seen(king), ...contest.duel(king), ...contest.crown(king)];
  for (let i = 0; i < LIMITS.submissions + 50; i++) {
    contest.atBlock++;
    events.push(contest.seen(contest.entrant(2, `b/${i}`, 0)));
  }
  const log = fold(events);
  expect(log.submissions.size).toBe(LIMITS.submissions);
  expect(statuses(log)['a/king']).toBe('king');
  expect(log.feed).toHaveLength(LIMITS.feed);
});

it('a long trace keeps its first phase out and its last point in', () => {
  const progress = (done: number): SampleEvent => ({
    type: 'evaluation.progress',
    data: { id: 'x', uid: 1, repo: 'a/b', phase: 'p', done, total: 5000, meanDelta: done / 5000 },
  });
  const log = fold([progress(4000), ...Array.from({ length: 1000 }, (_, i) => progress(i))]);
  expect(log.currentEval?.trace.length).toBeLessThanOrEqual(LIMITS.trace);
  expect(log.currentEval?.trace.at(-1)?.[0]).toBeGreaterThanOrEqual(998);
  expect(Math.max(...(log.currentEval?.trace ?? []).map(([done]) => done))).toBeLessThan(1000);
});

it('removes control characters from what strangers wrote', () => {
  const contest = new SampleContest();
  const one = contest.entrant(1, 'a/\u001b[2Jevil\u202e', 0);
  const log = fold([contest.seen(one)]);
  expect([...log.submissions.values()][0]?.hf_repo).toBe('a/ [2Jevil');
});

it('survives any data under any known type, and counts what it cannot read', () => {
  const type = fc.constantFrom(...Object.keys(EVENT_SCHEMAS), 'unknown.type');
  fc.assert(
    fc.property(fc.array(fc.record({ type, data: fc.jsonValue() })), (events) => {
      const log = fold(events as SampleEvent[]);
      expect(log.seq).toBe(events.length);
      expect(log.unreadable + log.feed.length).toBeLessThanOrEqual(events.length);
    }),
    { numRuns: 200 },
  );
});
