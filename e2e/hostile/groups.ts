/** @file Which attacks need a chain, an evaluation or a second look; all others end in the prechecks. */
import type { Entrant } from './arena.ts';

const NEEDS_CONTEST = [
  'The commitment',
  'The repository',
  'Weights in pieces',
  'Copies',
  'Copies in disguise',
  'Models that misbehave when they run',
  'Overflow, were the numbers not bounded',
  'Holes, were there any in the engine',
  'The hub, and whoever sits before it',
];

export const needsContest = ({ group }: Entrant): boolean => NEEDS_CONTEST.includes(group);

/** Each of these costs seconds or a contest of its own; the slow test has all of them. */
const ONE_OF_ITS_KIND = ['crash in the duel', 'takes memory', 'speaks for the cage'];

export const isQuick = ({ attack, ground }: Entrant): boolean =>
  ground.name === 'smallest' && (attack.hole === undefined || ONE_OF_ITS_KIND.includes(attack.name));
