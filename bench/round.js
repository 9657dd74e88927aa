/**
 * @file `node bench/round.js`: one whole round with five challengers of the size of `assets/base`, judged by the local rules
 * over a real hub, a real dev chain and real cages, and where its time goes.
 *
 *     --evaluators N   in the validator's care (default 1)     --threads N   of each (default: one per core)
 *     --queue URL      default an SQLite file                  --early       let hopeless duels end early, as the rules say
 *     --json           one object on stdout
 *
 * The challengers are the base with noise on its weights: as much work as any model, and none of it worth a crown. Duels go
 * to their last prompt unless `--early`, so the figure is the longest that a round takes.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapOrExit, root } from '../scripts/bootstrap.js';

const CHALLENGERS = 5;
/** Of a weight; far above what copy detection takes for noise. */
const NOISE = 0.2;

await bootstrapOrExit();
const { DevChain, openWallet } = await import('@quasar/chain');
const { createHubClient, serveHub } = await import('@quasar/hub');
const { openStore } = await import('@quasar/store');
const { formatCommitment, LOCAL, rebuildContest, runValidator } = await import('@quasar/subnet');
const { Rng } = await import('@quasar/base');
const { toBf16 } = await import('@quasar/model');

const { values: flags } = parseArgs({
  options: {
    evaluators: { type: 'string', default: '1' },
    threads: { type: 'string' },
    queue: { type: 'string' },
    early: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const assets = join(root, 'assets');
const folder = mkdtempSync(join(tmpdir(), 'quasar-bench-round-'));
const duel = flags.early ? LOCAL.duel : { ...LOCAL.duel, sequential: null };
const config = { ...LOCAL, duel, round: { ...LOCAL.round, giveUpBlocks: 1_000_000 } };

const server = await serveHub({ directory: join(folder, 'hub'), port: 0 });
const hub = createHubClient({ url: server.url, cacheDirectory: join(folder, 'cache') });
const chain = DevChain.open({ path: join(folder, 'chain.db'), blockTimeMs: 0, tempo: 5 });
const store = openStore({ path: join(folder, 'contest.sqlite') });
const stop = new AbortController();
try {
  const owner = openWallet(join(folder, 'owner'));
  await chain.register(owner, config.netuid);
  await chain.addStake(owner, config.netuid, 1000);
  for (let i = 0; i < CHALLENGERS; i++) {
    const wallet = openWallet(join(folder, `miner-${i}`));
    await chain.register(wallet, config.netuid);
    const revision = await publish(`miner-${i}/model`, noisy(i));
    await chain.commit(wallet, config.netuid, formatCommitment({ repo: `miner-${i}/model`, revision }));
  }
  // Past the start of the next round, with everybody before its cutoff.
  await chain.advance(2 * config.round.blocks - ((await chain.head()).number % config.round.blocks) + 1);
  const units = [];
  const running = runValidator({
    ...{ chain, hub, store, wallet: owner, config, workDirectory: join(folder, 'validator') },
    ...{ baseDirectory: join(assets, 'base'), teacherDirectory: join(assets, 'teacher') },
    ...{ queueUrl: flags.queue, evaluators: Number(flags.evaluators) },
    threads: flags.threads === undefined ? undefined : Number(flags.threads),
    onUnit: (unit) => units.push(unit),
    signal: stop.signal,
  });
  const judged = await untilJudged(running);
  stop.abort();
  await running;
  show(judged, units);
} finally {
  stop.abort();
  chain.close();
  store.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
}

/** @returns the events of the round, when it is judged */
async function untilJudged(running) {
  let ended = false;
  running.finally(() => {
    ended = true;
  });
  for (;;) {
    const events = store.events();
    if (events.some(({ type }) => type === 'round.judged')) return events;
    if (ended) throw new Error('the validator ended before the round did');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
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
  const result = {
    ...{ challengers: judged, evaluators: Number(flags.evaluators), prompts: config.duel.prompts },
    prechecksSeconds: seconds(beganMs - startedMs),
    parts: rows,
    measuringSeconds: seconds(endedMs - beganMs),
    roundSeconds: seconds(endedMs - startedMs),
  };
  if (flags.json) return console.log(JSON.stringify(result));
  console.log(`one round, ${judged} challengers, ${result.evaluators} evaluators, ${config.duel.prompts} prompts`);
  console.log(`prechecks                 ${result.prechecksSeconds.toFixed(1)} s`);
  for (const { part, units: count, seconds: s, firstSeconds } of rows)
    console.log(
      `${part.padEnd(10)} ${`${count}`.padStart(4)} units  ${s.toFixed(1).padStart(6)} s  (first ${firstSeconds.toFixed(2)} s)`,
    );
  console.log(`start to verdict          ${result.roundSeconds.toFixed(1)} s`);
}

async function publish(repo, directory) {
  const files = ['config.json', 'model.safetensors', 'tokenizer.json'];
  return (
    await hub.publish(
      repo,
      files.map((path) => ({ path, content: join(directory, path) })),
    )
  ).revision;
}

/** A copy of the base with noise on every matrix. */
function noisy(seed) {
  const directory = join(folder, `model-${seed}`);
  mkdirSync(directory);
  for (const name of ['config.json', 'tokenizer.json']) cpSync(join(assets, 'base', name), join(directory, name));
  const bytes = readFileSync(join(assets, 'base/model.safetensors'));
  const headerBytes = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString());
  const rng = new Rng(`bench/${seed}`);
  for (const [name, { dtype, shape, data_offsets: [from, to] = [] }] of Object.entries(header)) {
    if (name === '__metadata__' || dtype !== 'BF16' || shape.length < 2) continue;
    const [start, count] = [8 + headerBytes + from, (to - from) / 2];
    const values = Float32Array.from({ length: count }, (_, i) => {
      const value = float(bytes.readUInt16LE(start + 2 * i));
      return value * (1 + NOISE * (2 * rng.next() - 1));
    });
    for (const [i, value] of toBf16(values).entries()) bytes.writeUInt16LE(value, start + 2 * i);
  }
  writeFileSync(join(directory, 'model.safetensors'), bytes);
  return directory;
}

function float(bf16) {
  return new Float32Array(Uint32Array.of(bf16 << 16).buffer)[0];
}
