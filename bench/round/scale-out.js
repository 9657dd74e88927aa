/**
 * @file The same round by one process and by many on one Postgres, whole and while something is killed: what each measured,
 * how long it took, what had to be done again.
 */
import { join } from 'node:path';
import { openJobQueue } from '@quasar/store';
import { startPostgres } from '@quasar/store/testing';
import { Compute } from '@quasar/subnet';
import { Evaluators } from './evaluators.js';
import { countFacts, differences, factsOf } from './evidence.js';

/** Every cage is killed so often, each time at another unit. */
const CAGE_KILLS = 2;

export async function playScaledOut(arena, { evaluators: count, threads }) {
  const here = await arena.judge('in-process', { openRunner: () => new Compute() });
  const expected = factsOf(here);
  const jobs = here.units.map(({ kind, key }) => ({ kind, key }));
  const rounds = [];
  const postgres = await startPostgres();

  /** @param disturb gets the processes when every one of them is at work on challengers; returns facts for the report */
  const play = async (name, disturb) => {
    const queueUrl = `${postgres.url}?schema=${name.replaceAll(' ', '_')}`;
    const evaluators = new Evaluators(count, {
      ...{ queue: queueUrl, hub: arena.hubUrl, threads },
      folder: join(arena.folder, `evaluators of ${name}`),
    });
    try {
      let disturbed = {};
      const round = await arena.judge(name, { queueUrl, evaluators: 0 }, async ({ events, signal }) => {
        await evaluators.work(signal);
        const atSeconds = (Date.now() - startOf(events())) / 1000;
        disturbed = { ...(await disturb(evaluators, signal)), atSeconds };
      });
      const result = { takenOver: await takenOver(queueUrl, jobs), failedUnits: await evaluators.stop() };
      const differ = differences(expected, factsOf(round));
      rounds.push({ name, seconds: secondsOf(round), differences: differ, ...result, ...disturbed });
    } finally {
      evaluators.kill(count);
    }
  };

  try {
    await play('whole', async () => ({}));
    await play('half of them killed', async (evaluators) => {
      evaluators.kill(count >> 1);
      return { killedEvaluators: count >> 1 };
    });
    await play('cages killed', async (evaluators, signal) => {
      let killedCages = 0;
      for (let kills = 0; kills < CAGE_KILLS; kills++) {
        if (kills > 0) await evaluators.work(signal);
        killedCages += evaluators.killCages();
      }
      return { killedCages };
    });
  } finally {
    await postgres.stop();
  }
  return {
    ...{ evaluators: count, threads, prompts: arena.config.duel.prompts, jobs: jobs.length },
    compared: countFacts(here),
    inProcessSeconds: secondsOf(here),
    rounds,
  };
}

export function showScaledOut({ evaluators, threads, prompts, jobs, compared, inProcessSeconds, rounds }) {
  const { promptKl, tokenKl, replies, axes, verdicts, blobs } = compared;
  const seconds = (s) => `${s.toFixed(1).padStart(6)} s`;
  console.log(
    `one round, ${verdicts} challengers, ${prompts} prompts, ${jobs} jobs; ${evaluators} evaluator processes of`,
  );
  console.log(`${threads} thread on Postgres beside the same round in this process, start to verdict`);
  console.log(`${'in this process'.padEnd(22)}${seconds(inProcessSeconds)}`);
  for (const { name, seconds: s, differences: differ, takenOver: again, failedUnits, ...round } of rounds) {
    const { killedEvaluators, killedCages, atSeconds } = round;
    const what = [
      differ.length === 0 ? 'identical' : `${differ.length} DIFFERENCES, such as ${differ.slice(0, 3).join('; ')}`,
      ...(killedEvaluators ? [`${killedEvaluators} SIGKILL at ${atSeconds.toFixed(1)} s`] : []),
      ...(killedCages ? [`${killedCages} SIGKILL from ${atSeconds.toFixed(1)} s on`] : []),
      `${again} jobs taken over`,
      ...(failedUnits.length > 0 ? [`failed on the way: ${failedUnits.join('; ')}`] : []),
    ];
    console.log(`${name.padEnd(22)}${seconds(s)}  ${what.join(', ')}`);
  }
  console.log(
    `compared bit for bit: KL of ${promptKl} prompts and ${tokenKl} tokens, ${replies} replies to axis questions,`,
  );
  console.log(`${axes} axes, ${verdicts} verdicts, ${blobs} blobs, the payload and result of every job`);
}

/** How many jobs a second evaluator had to do. @throws Error when one of them is not done */
async function takenOver(queueUrl, jobs) {
  const queue = await openJobQueue(queueUrl);
  let count = 0;
  for (const kind of new Set(jobs.map((job) => job.kind))) {
    const keys = jobs.filter((job) => job.kind === kind).map(({ key }) => key);
    const outcomes = await queue.outcomes(kind, keys);
    for (const key of keys) {
      const { state, attempt } = outcomes.get(key) ?? { state: 'never added' };
      if (state !== 'done') throw new Error(`${kind} ${key} is ${state}`);
      if (attempt > 1) count++;
    }
  }
  await queue.close();
  return count;
}

function secondsOf({ events }) {
  return (events.find(({ type }) => type === 'round.judged').atMs - startOf(events)) / 1000;
}

function startOf(events) {
  return events.find(({ type }) => type === 'round.started').atMs;
}
