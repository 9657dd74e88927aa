/**
 * @file `node bench/round.js`: one whole round with five challengers of the size of `assets/base`, judged by the local rules
 * over a real hub, a real dev chain and real cages, and where its time goes.
 *
 *     --evaluators N   in the validator's care (default 1)     --threads N   of each (default: one per core)
 *     --queue URL      default an SQLite file                  --early       let hopeless duels end early, as the rules say
 *     --json           one object on stdout
 *
 *     --queue postgres   the same round again and again: in this process, then by N processes of `quasar evaluator run`
 *                        (default 4, of one thread each) on a Postgres server of its own, then with half of them killed in
 *                        the middle, then with their cages killed. Everything measured is compared; any difference is an error
 *
 * Duels go to their last prompt unless `--early`, so the figure is the longest that a round takes.
 */
import { parseArgs } from 'node:util';
import { bootstrapOrExit } from '../scripts/bootstrap.js';

await bootstrapOrExit();
const { rebuildContest } = await import('@quasar/subnet');
const { Arena } = await import('./round/arena.js');
const { playScaledOut, showScaledOut } = await import('./round/scale-out.js');

const { values: flags } = parseArgs({
  options: {
    evaluators: { type: 'string' },
    threads: { type: 'string' },
    queue: { type: 'string' },
    early: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const isScaledOut = flags.queue === 'postgres';
const evaluators = Number(flags.evaluators ?? (isScaledOut ? 4 : 1));
const threads = flags.threads === undefined ? undefined : Number(flags.threads);

const arena = await Arena.open(flags.early);
try {
  if (isScaledOut) {
    const result = await playScaledOut(arena, { evaluators, threads: threads ?? 1 });
    if (flags.json) console.log(JSON.stringify(result));
    else showScaledOut(result);
    if (result.rounds.some(({ differences }) => differences.length > 0)) process.exitCode = 1;
  } else {
    const { events, units } = await arena.judge('validator', { queueUrl: flags.queue, evaluators, threads });
    show(events, units);
  }
} finally {
  await arena.close();
}

function show(events, units) {
  const at = (type, match = () => true) => events.find((event) => event.type === type && match(event.data))?.atMs;
  const startedMs = at('round.started');
  const beganMs = at('evaluation.progress', ({ phase }) => phase === 'traces');
  const endedMs = at('round.judged');
  const judged = [...rebuildContest(events).rounds.values()][0].duels.size;
  const parts = new Map();
  for (const unit of units) parts.set(unit.kind, [...(parts.get(unit.kind) ?? []), unit]);
  const seconds = (ms) => ms / 1000;
  const rows = [...parts].map(([kind, all]) => ({
    part: kind,
    units: all.length,
    seconds: seconds(all.reduce((sum, { wallMs }) => sum + wallMs, 0)),
    firstSeconds: seconds(all[0].wallMs),
  }));
  const { prompts } = arena.config.duel;
  const result = {
    ...{ challengers: judged, evaluators, prompts },
    prechecksSeconds: seconds(beganMs - startedMs),
    parts: rows,
    measuringSeconds: seconds(endedMs - beganMs),
    roundSeconds: seconds(endedMs - startedMs),
  };
  if (flags.json) return console.log(JSON.stringify(result));
  console.log(`one round, ${judged} challengers, ${evaluators} evaluators, ${prompts} prompts`);
  console.log(`prechecks                 ${result.prechecksSeconds.toFixed(1)} s`);
  for (const { part, units: count, seconds: s, firstSeconds } of rows)
    console.log(
      `${part.padEnd(10)} ${`${count}`.padStart(4)} units  ${s.toFixed(1).padStart(6)} s  (first ${firstSeconds.toFixed(2)} s)`,
    );
  console.log(`start to verdict          ${result.roundSeconds.toFixed(1)} s`);
}
