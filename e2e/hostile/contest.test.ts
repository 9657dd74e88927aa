/** @file Attacks on the contest itself: commitments, repositories that change, copies, models that misbehave, hubs that lie. */
import { expect, it } from 'vitest';
import { SMALLEST } from '../../packages/subnet/src/testing/hostile/ground.ts';
import { ENTRANTS } from './arena.ts';
import { isQuick, needsContest } from './groups.ts';
import { testThroughContest } from './through-contest.ts';

testThroughContest(
  ENTRANTS.filter((one) => needsContest(one) && isQuick(one)),
  SMALLEST,
  600_000,
);

it('the corpus has at least 350 attacks, and no two of one name in a group', () => {
  const names = ENTRANTS.map(({ group, attack }) => `${group}: ${attack.name}`);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(350);
});
