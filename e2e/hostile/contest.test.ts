/** @file Attacks on the contest itself: commitments, repositories that change, copies, hubs that lie. */
import { expect, it } from 'vitest';
import { ENTRANTS } from './arena.ts';
import { NEEDS_CONTEST } from './groups.ts';
import { testThroughContest } from './through-contest.ts';

testThroughContest(
  ENTRANTS.filter(({ group }) => NEEDS_CONTEST.includes(group)),
  280_000,
);

it('the corpus has at least 150 attacks, and no two of one name in a group', () => {
  const names = ENTRANTS.map(({ group, attack }) => `${group}: ${attack.name}`);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(150);
});
