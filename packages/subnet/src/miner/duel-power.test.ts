import { Rng } from '@quasar/base';
import { expect, it } from 'vitest';
import type { ContestEvents } from '../events.ts';
import { Contest } from '../projection.ts';
import { LOCAL, UPSTREAM } from '../rules/config.ts';
import { duelPower, kingsDuel } from './duel-power.ts';

const rng = new Rng('power');
const deltas = Float64Array.from({ length: 400 }, () => 0.05 * rng.normal());

it('says how likely an improvement is found, and what it takes to find it', () => {
  const got = duelPower({ deltas, kingKl: 0.35, duel: UPSTREAM.duel, improvement: 0.02 });
  expect(got).toMatchObject({ prompts: 300, kingKl: 0.35 });
  expect(got.effect).toBeCloseTo(0.007, 12);
  expect(got.sd).toBeCloseTo(0.05, 2);
  expect(got.probability).toBeGreaterThan(0.4);
  expect(got.probability).toBeLessThan(0.6);
  expect(Math.abs(got.simulated.probability - got.probability)).toBeLessThan(0.05);
  expect(got.simulated.meanPrompts).toBeLessThan(300);
  const { improvement, prompts } = got.eighty;
  expect(duelPower({ deltas, kingKl: 0.35, duel: UPSTREAM.duel, improvement }).probability).toBeCloseTo(0.8, 6);
  expect(duelPower({ deltas, kingKl: 0.35, duel: UPSTREAM.duel, improvement: 0.02, prompts }).probability).toBeCloseTo(
    0.8,
    2,
  );
});

it('an improvement within the margin is never found', () => {
  const improvement = LOCAL.duel.minDelta / 0.35;
  expect(duelPower({ deltas, kingKl: 0.35, duel: LOCAL.duel, improvement }).eighty.prompts).toBe(Infinity);
});

const model = (uid: number) => ({ uid, repo: `m${uid}/m`, revision: 'a' });

function contest(events: { type: string; data: object }[]): Contest {
  const made = new Contest();
  events.forEach(({ type, data }, i) => {
    made.apply({ seq: i + 1, atMs: 0, type, key: null, data });
  });
  return made;
}

const started = (round: number, incumbent: string, candidates: string[]) => {
  const blocks = { atBlock: 1, startBlock: 1, cutoffBlock: 0, seedBlock: 1, activationBlock: 2 };
  return {
    type: 'round.started',
    data: { round, ...blocks, seedHash: 's', candidates, waiting: [], incumbent, configHash: '' },
  };
};
const scored = (round: number, id: string, uid: number, perPrompt: number[]) => ({
  type: 'evaluation.scored',
  data: {
    ...{ round, atBlock: 1, id, ...model(uid), kl: { mean: 0, perPrompt } },
    ...{ axes: {}, weighted: 0, worst: 0, worstAxis: null, quality: 0 },
  },
});
const judged = (round: number, id: string, uid: number, n: number, win: boolean) => {
  const crownGate = { quality: 1, kingQuality: 1, passed: win, reasons: [] };
  const numbers = { n, meanDelta: 1, se: 1, t: 1, p: 0, lcb: 1, kingKl: 2, challengerKl: 1, win };
  const king: ContestEvents['duel.judged']['king'] = model(-1);
  return { type: 'duel.judged', data: { round, atBlock: 1, id, ...model(uid), king, ...numbers, crownGate } };
};
const crowned = (round: number, id: string, uid: number) => ({
  type: 'king.crowned',
  data: {
    round,
    atBlock: 1,
    id,
    ...model(uid),
    hotkey: id,
    crownedAtBlock: 1,
    reign: 1,
    previous: null,
    source: 'duel',
  },
});

it('takes the spread from the duel that crowned the king, before that from the newest', () => {
  const log = [
    started(1, 'base', ['a']),
    scored(1, 'base', -1, [3, 4, 6]),
    scored(1, 'a', 1, [1, 1]),
    judged(1, 'a', 1, 2, true),
  ];
  expect(kingsDuel(contest([]))).toBeNull();
  expect(kingsDuel(contest(log))).toMatchObject({ round: 1, deltas: Float64Array.of(2, 3), kingKl: 2 });
  const later = [
    ...log,
    crowned(1, 'a', 1),
    ...[started(2, 'a', ['b']), scored(2, 'a', 1, [1, 1]), scored(2, 'b', 2, [9, 9]), judged(2, 'b', 2, 2, false)],
  ];
  expect(kingsDuel(contest(later))).toMatchObject({ round: 1, challenger: { uid: 1 }, kingKl: 1 });
});
