/**
 * @file A round of five challengers of the size of `quasar-nano`, four evaluator processes on Postgres: the bits of one
 * process, also when two evaluators are killed in the middle and when every cage is killed twice.
 */
import { expect, it } from 'vitest';
import { skipWithoutPostgres } from '../packages/store/src/queue/testing/postgres.ts';
import { REPOSITORY } from './support/paths.ts';
import { run } from './support/run.ts';

interface ScaledOut {
  prompts: number;
  compared: Record<string, number>;
  rounds: {
    seconds: number;
    differences: string[];
    takenOver: number;
    killedEvaluators?: number;
    killedCages?: number;
    atSeconds?: number;
  }[];
}

it.skipIf(skipWithoutPostgres())('every number is the same, whoever dies', async () => {
  const { code, stdout } = await run(process.execPath, [
    `${REPOSITORY}bench/round.js`,
    ...['--queue', 'postgres', '--evaluators', '4', '--json'],
  ]);
  const { prompts, compared, rounds } = JSON.parse(stdout) as ScaledOut;
  expect(rounds.map(({ differences }) => differences)).toEqual([[], [], []]);
  expect(code).toBe(0);
  // Base and five challengers.
  expect(compared).toMatchObject({ promptKl: 6 * prompts, verdicts: 5 });
  for (const count of Object.values(compared)) expect(count).toBeGreaterThan(0);
  const [whole, halved, uncaged] = rounds as [ScaledOut['rounds'][0], ScaledOut['rounds'][0], ScaledOut['rounds'][0]];
  expect(whole.takenOver).toBe(0);
  expect(halved.killedEvaluators).toBe(2);
  expect(halved.takenOver).toBeGreaterThan(0);
  // Four cages, twice.
  expect(uncaged.killedCages).toBe(8);
  for (const { atSeconds, seconds } of [halved, uncaged]) expect(atSeconds).toBeLessThan(seconds);
});
