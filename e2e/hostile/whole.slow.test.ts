/**
 * @file All attacks at once through real contests: hub, chain, commitments, one validator with its evaluator and cage.
 * `QUASAR_FIGURES=write` keeps the most memory and disk for docs/submissions.md, which `node scripts/docs.js` then writes.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe } from 'vitest';
import type { CorpusFigures } from '../../packages/subnet/src/testing/hostile/table.ts';
import { ENTRANTS } from './arena.ts';
import { together } from './caps.ts';
import { testThroughContest } from './through-contest.ts';

const FIGURES = fileURLToPath(new URL('figures.json', import.meta.url));
const GROUNDS = [...new Set(ENTRANTS.map(({ ground }) => ground))];
const all: CorpusFigures[] = [];

describe.each(GROUNDS)('$name', (ground) => {
  const entrants = ENTRANTS.filter((one) => one.ground === ground);
  testThroughContest(entrants, ground, 1_500_000, (figures) => all.push(figures));
});

afterAll(() => {
  const figures = `${JSON.stringify(together(all), null, 2)}\n`;
  console.log(figures);
  if (process.env.QUASAR_FIGURES === 'write' && all.length === GROUNDS.length) writeFileSync(FIGURES, figures);
});
