/**
 * @file The pace of the dev chain: empty blocks on demand with 256 neurons, and an epoch of 256 validators weighing 256 neurons.
 *
 *     node bench/chain.js [--blocks 10000] [--tempo 360]
 *
 * Blocks go to a real file; `advance` writes 256 of them per transaction. The epoch is what the block that runs it takes
 * longer than an empty one: reading the state, Yuma 3, paying stake, and writing every neuron. Then the mathematics alone.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapOrExit } from '../scripts/bootstrap.js';
import { median } from './measure.js';
import { yumaEpochs } from './yuma.js';

await bootstrapOrExit();
const { DevChain, walletFromSeed } = await import('@quasar/chain');

const { values } = parseArgs({
  options: { blocks: { type: 'string', default: '10000' }, tempo: { type: 'string', default: '360' } },
});
const [blocks, tempo] = [Number(values.blocks), Number(values.tempo)];
const NETUID = 24;
const NEURONS = 256;
const WARM_UP = 10;
const EPOCHS = 30;

const directory = mkdtempSync(join(tmpdir(), 'bench-chain-'));
const chain = DevChain.open({
  path: join(directory, 'chain.db'),
  blockTimeMs: 0,
  tempo,
  maxValidators: NEURONS,
  weightsRateLimitBlocks: 0,
  activityCutoffBlocks: 1_000_000,
  initialBurn: 0,
  minBurn: 0,
});
const wallets = Array.from({ length: NEURONS }, (_, i) => walletFromSeed(new Uint8Array(32).fill(1).fill(i, 0, 1)));
await Promise.all(wallets.map((wallet) => chain.register(wallet, NETUID)));
await Promise.all(wallets.map((wallet, i) => chain.addStake(wallet, NETUID, 100 + i)));
const toEpoch = async () => chain.advance((await chain.nextEpochBlock(NETUID)) - (await chain.head()).number - 1);

const empty = await timed(() => chain.advance(blocks));
const withEpochs = Math.floor(blocks / tempo);
console.log(`${blocks} blocks with ${NEURONS} neurons and ${withEpochs} epochs: ${rate(empty)}`);

await Promise.all(
  wallets.map((wallet, i) => {
    const weights = wallets.map((_, uid) => ({ uid, weight: 1 + ((uid * 31 + i * 17) % 97) }));
    return chain.setWeights(wallet, NETUID, weights);
  }),
);
const epochs = [];
const plain = [];
for (let i = -WARM_UP; i < EPOCHS; i++) {
  await toEpoch();
  const [epoch, block] = [await timed(() => chain.advance(1)), await timed(() => chain.advance(1))];
  if (i < 0) continue;
  epochs.push(epoch);
  plain.push(block);
}
const { neurons } = await chain.metagraph(NETUID);
const weighed = neurons.filter((neuron) => neuron.incentive > 0).length;
console.log(
  `epoch of ${NEURONS} x ${NEURONS} (${weighed} with incentive): ${extra('ms')} ms, ${extra('cpuMs')} ms of a core, median of ${EPOCHS}`,
);
chain.close();
rmSync(directory, { recursive: true });
for (const { name, ms, cpuMs } of await yumaEpochs()) {
  console.log(`${name}: ${ms.toFixed(1)} ms, ${cpuMs.toFixed(1)} ms of a core`);
}

/** Wall time, and what this process had of a core: with other work on the machine only the second says something. */
async function timed(act) {
  const [startedAtMs, startedCpu] = [performance.now(), process.cpuUsage()];
  await act();
  const { user, system } = process.cpuUsage(startedCpu);
  return { ms: performance.now() - startedAtMs, cpuMs: (user + system) / 1000 };
}

function rate({ ms, cpuMs }) {
  return `${Math.round((blocks / ms) * 1000)} blocks/s (${Math.round((blocks / cpuMs) * 1000)} per second of a core)`;
}

function extra(key) {
  const of = (runs) => median(runs.map((run) => run[key]));
  return (of(epochs) - of(plain)).toFixed(1);
}
