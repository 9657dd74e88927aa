/** @file A short life of two validators in a bad world: a handful of rounds, one fault of each sort. Fifty rounds: the slow test beside this. */
import { expect, it } from 'vitest';
import { liveThrough } from './live-through.ts';
import type { Scheduled } from './schedule.ts';

const HOUR_MS = 3_600_000;

const schedule: Scheduled[] = [
  { round: 0, offset: 4, forMs: 800, kind: 'kill', target: 'first' },
  { round: 0, offset: 8, forMs: 1500, kind: 'wire', target: 'second', to: 'hub', fault: 'error' },
  { round: 1, offset: 2, forMs: 1500, kind: 'disk', target: 'second' },
  { round: 1, offset: 6, forMs: 1000, kind: 'wire', target: 'first', to: 'chain', fault: 'hang' },
  { round: 1, offset: 20, forMs: 0, kind: 'clock', target: 'first', shiftMs: -30 * HOUR_MS },
  { round: 2, offset: 3, forMs: 500, kind: 'kill', target: 'hub' },
  { round: 2, offset: 18, forMs: 500, kind: 'kill', target: 'second' },
  { round: 2, offset: 26, forMs: 500, kind: 'kill', target: 'chain' },
];

it('kills, wires, a full disk and a wrong clock cost nobody a verdict', { timeout: 240_000 }, async () => {
  const rounds = 3;
  const survived = await liveThrough({ seed: 'few', rounds, blockTimeMs: 300, schedule, limitMs: 150_000 });
  expect(survived.rounds).toBeGreaterThanOrEqual(rounds);
  expect(survived.kings).toBeGreaterThan(1);
  expect(survived.faults).toBeGreaterThanOrEqual(schedule.length - 1); // not every machine can fill a disk
});
