/**
 * @file A short life of two validators in a bad world: the faults that a seed draws.
 * FAULTS_SEED draws others, FAULTS_BLOCK_MS gives a busy machine more time. Fifty rounds: the slow test beside this.
 */
import { findPostgres } from '@quasar/store/testing';
import { expect, it } from 'vitest';
import { liveThrough } from './live-through.ts';
import { quickRules } from './rules.ts';
import { describeFault, drawSchedule } from './schedule.ts';

const ROUNDS = 2;
const FAULTS_PER_ROUND = 4;
const BLOCK_TIME_MS = Number(process.env.FAULTS_BLOCK_MS ?? 250);

const { blocks: roundBlocks } = quickRules().round;

function draw(seed: string, hasPostgres: boolean) {
  return drawSchedule({ seed, rounds: ROUNDS, perRound: FAULTS_PER_ROUND, roundBlocks, hasPostgres });
}

it('what strikes whom cost nobody a verdict', { timeout: 240_000 }, async () => {
  const seed = process.env.FAULTS_SEED ?? 'few';
  const schedule = draw(seed, findPostgres() !== null);
  const survived = await liveThrough({ seed, rounds: ROUNDS, blockTimeMs: BLOCK_TIME_MS, schedule, limitMs: 150_000 });
  console.log(`seed ${seed}:`, JSON.stringify(survived));
  expect(survived.rounds).toBeGreaterThanOrEqual(ROUNDS);
  expect(survived.kings).toBeGreaterThan(0);
});

it('over the seeds everything strikes everybody', () => {
  const names = (seed: number) =>
    draw(`${seed}`, true).map((fault) => describeFault(fault).replace(/^[^:]*: | by .*| for .*/g, ''));
  const seen = new Set(Array.from({ length: 200 }, (_, seed) => names(seed)).flat());
  expect([...seen].sort()).toMatchInlineSnapshot(`
    [
      "cage of evaluator-a: freeze",
      "cage of evaluator-a: kill",
      "cage of evaluator-b: freeze",
      "cage of evaluator-b: kill",
      "cage of second: freeze",
      "cage of second: kill",
      "chain: freeze",
      "chain: kill",
      "evaluator-a: freeze",
      "evaluator-a: kill",
      "evaluator-b: freeze",
      "evaluator-b: kill",
      "first: clock",
      "first: cut to the chain",
      "first: cut to the hub",
      "first: cut to the queue",
      "first: disk",
      "first: drip to the chain",
      "first: drip to the hub",
      "first: drip to the queue",
      "first: error to the chain",
      "first: error to the hub",
      "first: freeze",
      "first: hang to the chain",
      "first: hang to the hub",
      "first: hang to the queue",
      "first: kill",
      "first: refuse to the chain",
      "first: refuse to the hub",
      "first: refuse to the queue",
      "hub: freeze",
      "hub: kill",
      "miner: freeze",
      "miner: kill",
      "postgres: kill",
      "second: clock",
      "second: cut to the chain",
      "second: cut to the hub",
      "second: disk",
      "second: drip to the chain",
      "second: drip to the hub",
      "second: error to the chain",
      "second: error to the hub",
      "second: freeze",
      "second: hang to the chain",
      "second: hang to the hub",
      "second: kill",
      "second: refuse to the chain",
      "second: refuse to the hub",
    ]
  `);
});
