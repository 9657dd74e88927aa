/** @file Fifty rounds of two validators and six miners in a bad world. FAULTS_SEED draws another one; a failure prints its seed and schedule. */
import { expect, it } from 'vitest';
import { liveThrough } from './live-through.ts';
import { quickRules } from './rules.ts';
import { drawSchedule } from './schedule.ts';

const ROUNDS = 50;
/** All kinds of faults on all targets make a deck of 34: each comes up twice. */
const FAULTS_PER_ROUND = 1.5;

it('no event lost, no double crown, every king and every bit agreed, no weight unexplained', async () => {
  const seed = process.env.FAULTS_SEED ?? 'fifty';
  const { blocks: roundBlocks } = quickRules().round;
  const schedule = drawSchedule({ seed, rounds: ROUNDS, perRound: FAULTS_PER_ROUND, roundBlocks });
  const survived = await liveThrough({ seed, rounds: ROUNDS, blockTimeMs: 300, schedule, limitMs: 1_500_000 });
  console.log(`seed ${seed}:`, JSON.stringify(survived));
  expect(survived.rounds).toBeGreaterThanOrEqual(ROUNDS);
  expect(survived.kings).toBeGreaterThan(10);
  expect(new Set(schedule.map(({ kind }) => kind)).size).toBe(5);
});
