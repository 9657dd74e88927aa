/**
 * @file Fifty rounds of two validators and six miners in a bad world. FAULTS_SEED draws another one, FAULTS_BLOCK_MS gives a
 * busy machine more time, FAULTS_ROUNDS makes it longer or shorter; a failure prints its seed and schedule.
 */
import { findPostgres } from '@quasar/store/testing';
import { expect, it } from 'vitest';
import { liveThrough } from './live-through.ts';
import { quickRules } from './rules.ts';
import { drawSchedule } from './schedule.ts';

const ROUNDS = Number(process.env.FAULTS_ROUNDS ?? 50);
const BLOCK_TIME_MS = Number(process.env.FAULTS_BLOCK_MS ?? 300);
/** All kinds of faults on all targets make a deck of 52: each comes up twice. */
const FAULTS_PER_ROUND = 2;
/** Rounds that an outage ate, and blocks that came late. */
const PATIENCE = 2;
const AROUND_MS = 300_000;

const { blocks: roundBlocks } = quickRules().round;
const limitMs = ROUNDS * roundBlocks * BLOCK_TIME_MS * PATIENCE;

it('no event lost, no double crown, every king and every bit agreed, no weight unexplained', {
  timeout: limitMs + AROUND_MS,
}, async () => {
  const seed = process.env.FAULTS_SEED ?? 'fifty';
  const hasPostgres = findPostgres() !== null;
  const schedule = drawSchedule({ seed, rounds: ROUNDS, perRound: FAULTS_PER_ROUND, roundBlocks, hasPostgres });
  const survived = await liveThrough({ seed, rounds: ROUNDS, blockTimeMs: BLOCK_TIME_MS, schedule, limitMs });
  console.log(`seed ${seed}:`, JSON.stringify(survived));
  expect(survived.rounds).toBeGreaterThanOrEqual(ROUNDS);
  expect(survived.kings).toBeGreaterThan(ROUNDS / 5);
  const struck = Object.values(survived.faults).reduce((sum, count) => sum + count, 0);
  expect(struck).toBeGreaterThanOrEqual(0.9 * schedule.length); // not every machine can fill a disk
});
