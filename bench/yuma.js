/**
 * @file `node bench/yuma.js`: milliseconds of one Yuma epoch of 256 neurons with dense weights and bonds, and those of
 * them that this process had a core. `bench/chain.js` calls `yumaEpochs`.
 */
import { fileURLToPath } from 'node:url';
import { bootstrapOrExit } from '../scripts/bootstrap.js';
import { median } from './measure.js';

const NEURONS = 256;
const CASES = [
  { validators: 64, version: 2 },
  { validators: 64, version: 3 },
  { validators: NEURONS, version: 2 },
  { validators: NEURONS, version: 3 },
];
const WARM_UP = 10;

/**
 * Epochs in a row, each with the bonds of the last.
 * @returns {Promise<{name: string, ms: number, cpuMs: number}[]>} medians over `epochs` epochs
 */
export async function yumaEpochs(epochs = 30) {
  const { runEpoch } = await import('@quasar/chain');
  return CASES.map(({ validators, version }) => {
    let input = subnet(validators, version);
    const [times, cpuTimes] = [[], []];
    for (let epoch = 0; epoch < WARM_UP + epochs; epoch++) {
      const [startedAtMs, startedCpu] = [performance.now(), process.cpuUsage()];
      const { bonds } = runEpoch(input);
      if (epoch >= WARM_UP) {
        times.push(performance.now() - startedAtMs);
        const { user, system } = process.cpuUsage(startedCpu);
        cpuTimes.push((user + system) / 1000);
      }
      input = { ...input, bonds };
    }
    const name = `Yuma ${version}, ${validators} of ${NEURONS} validate`;
    return { name, ms: median(times), cpuMs: median(cpuTimes) };
  });
}

function subnet(validators, version) {
  let state = 1;
  const below = (n) => {
    state = (state * 48271) % (2 ** 31 - 1);
    return state % n;
  };
  const uids = Array.from({ length: NEURONS }, (_, uid) => uid);
  return {
    stake: uids.map((uid) => (uid < validators ? 1_000_000_000n * BigInt(1 + below(1_000_000)) : 0n)),
    weights: uids.map((uid) => (uid < validators ? [...Uint16Array.from(uids, () => below(65536)).entries()] : [])),
    bonds: [],
    permits: uids.map((uid) => uid < validators),
    lastUpdate: uids.map(() => 9999),
    registeredAt: uids.map(() => 1),
    block: 10_000,
    tempo: 360,
    lastEpochBlock: 9640,
    kappa: 32767,
    bondsPenalty: 65535,
    bondsMovingAverage: 900_000,
    maxValidators: validators,
    activityCutoffBlocks: 5000,
    ownerUid: null,
    version,
    emission: 360_000_000_000n,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await bootstrapOrExit();
  for (const { name, ms, cpuMs } of await yumaEpochs()) {
    console.log(`${name}: ${ms.toFixed(1)} ms, ${cpuMs.toFixed(1)} ms of a core`);
  }
}
