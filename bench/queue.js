/**
 * @file `node bench/queue.js [--jobs N] [--rounds N] [--json]`: the job queue on SQLite and on Postgres beside plain
 * Graphile Worker on the same Postgres, taking turns, with empty jobs: the cost of the queue and nothing else.
 *
 * - jobs/s: four slots of one process wait; from adding N jobs in one call until the last one's end is stored.
 * - pick-up: from adding one job to the beginning of its handler while the worker is idle.
 *
 * Commits wait for the disk in all three. Graphile Worker (`bench/peers/setup`) deletes a finished job and keeps no
 * result and no heartbeat; ours stores a result per job.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapOrExit } from '../scripts/bootstrap.js';
import { median } from './measure.js';
import { peersHome } from './peers.js';

const SLOTS = 4;
const PICK_UPS = 20;

const { values: flags } = parseArgs({
  options: {
    jobs: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
  },
});
const jobCount = Number(flags.jobs);

await bootstrapOrExit();
const { openJobQueue } = await import('@quasar/store');
const { findPostgres, startPostgres } = await import('@quasar/store/testing');

const folder = mkdtempSync(join(tmpdir(), 'quasar-bench-queue-'));
const server = findPostgres() === null ? null : await startPostgres({ isDurable: true });
const drivers = [
  { name: 'SQLite', open: () => ours(join(folder, 'queue.sqlite')) },
  { name: 'Postgres', open: server && (() => ours(server.url)) },
  { name: 'Graphile Worker', open: server && graphileWorker() && (() => graphile(server.url)) },
];

try {
  const samples = drivers.map(({ name }) => ({ name, rates: [], pickUps: [] }));
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const [i, { open }] of drivers.entries()) {
      if (!open) continue;
      const runner = await open();
      samples[i].rates.push(await jobsPerSecond(runner, round));
      for (let n = 0; n < PICK_UPS; n++) samples[i].pickUps.push(await pickUpMs(runner, `${round}/${n}`));
      await runner.close();
    }
  }
  print(
    samples.map(({ name, rates, pickUps }) =>
      rates.length === 0 ? { name } : { name, jobsPerSecond: median(rates), pickUpMs: median(pickUps) },
    ),
  );
} finally {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** @returns what all three offer: `add`, `onJob` called at the beginning of each job, `settle` to store what ended, `close` */
async function ours(url) {
  const queue = await openJobQueue(url);
  const runner = { onJob: () => {} };
  let stop;
  let working;
  const start = async () => {
    stop = new AbortController();
    working = queue.work({
      kinds: ['bench'],
      concurrency: SLOTS,
      signal: stop.signal,
      handler: async ({ key }) => runner.onJob(key),
    });
  };
  const settle = async () => {
    stop.abort();
    await working;
  };
  await start();
  return Object.assign(runner, {
    add: (keys) => queue.add(keys.map((key) => ({ kind: 'bench', key, payload: { key } }))),
    settle,
    start,
    close: async () => {
      await settle();
      await queue.forget('bench/');
      await queue.close();
    },
  });
}

async function graphile(connectionString) {
  const { Logger, makeWorkerUtils, run } = graphileWorker();
  const logger = new Logger(() => () => {});
  const utils = await makeWorkerUtils({ connectionString, logger });
  await utils.migrate();
  const runner = { onJob: () => {} };
  let worker;
  const start = async () => {
    worker = await run({
      connectionString,
      logger,
      concurrency: SLOTS,
      noHandleSignals: true,
      taskList: { bench: async ({ key }) => runner.onJob(key) },
    });
  };
  const settle = async () => {
    await worker.stop();
    await worker.promise;
  };
  await start();
  return Object.assign(runner, {
    add: (keys) => utils.addJobs(keys.map((key) => ({ identifier: 'bench', payload: { key }, jobKey: key }))),
    settle,
    start,
    close: async () => {
      await settle();
      await utils.release();
    },
  });
}

function graphileWorker() {
  const home = join(peersHome(), 'node_modules');
  return existsSync(join(home, 'graphile-worker')) ? createRequire(`${home}/`)('graphile-worker') : null;
}

async function jobsPerSecond(runner, round) {
  const keys = Array.from({ length: jobCount }, (_, i) => `bench/rate/${round}/${i}`);
  let left = jobCount;
  const all = new Promise((resolve) => {
    runner.onJob = () => {
      if (--left === 0) resolve();
    };
  });
  const begunAtMs = performance.now();
  await runner.add(keys);
  await all;
  await runner.settle();
  const seconds = (performance.now() - begunAtMs) / 1000;
  await runner.start();
  return jobCount / seconds;
}

async function pickUpMs(runner, name) {
  await new Promise((resolve) => setTimeout(resolve, 20)); // idle again
  const begun = new Promise((resolve) => {
    runner.onJob = () => resolve(performance.now());
  });
  const addedAtMs = performance.now();
  await runner.add([`bench/pick-up/${name}`]);
  return (await begun) - addedAtMs;
}

function print(results) {
  if (flags.json) {
    console.log(JSON.stringify({ jobs: jobCount, slots: SLOTS, results }));
    return;
  }
  const peer = results.find(({ name }) => name === 'Graphile Worker');
  for (const { name, jobsPerSecond: rate, pickUpMs: ms } of results) {
    if (rate === undefined) {
      console.log(`${name}: missing (${server ? 'run bench/peers/setup' : 'install Postgres'})`);
      continue;
    }
    const ratio =
      name === peer.name || peer.jobsPerSecond === undefined
        ? ''
        : `, ${(rate / peer.jobsPerSecond).toFixed(2)} of ${peer.name}`;
    console.log(`${name}: ${rate.toFixed(0)} jobs/s${ratio}; pick-up ${ms.toFixed(1)} ms`);
  }
}
