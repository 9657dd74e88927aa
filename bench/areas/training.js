/**
 * @file One whole training step of a small model: batch, forward, backward, clipping, AdamW, expert bias. Counts tokens. The
 * peer gets our weights and our batch, and must find our losses and gradient norms in two steps before it is timed.
 */
import { Rng } from '@quasar/base';
import { disposeParameters, initialParameters, SIZES, tensorTable } from '@quasar/model';
import { ADAMW_DEFAULTS, AdamW, crossEntropyObjective, pack, trainStep } from '@quasar/train';
import { Exchange } from '../exchange.js';
import { agreement, allValues } from '../training.js';

export const title = 'Training step';

const LEARNING_RATE = 1e-3;

export async function run({ device, measure, isQuick }) {
  const [size, B, T] = isQuick ? ['nano', 1, 64] : ['mini', 4, 1024];
  const config = SIZES[size];
  const parameters = initialParameters(config, device, new Rng('bench'));
  const table = tensorTable(config);
  const optimizer = new AdamW(parameters, table, ADAMW_DEFAULTS);
  const exchange = new Exchange();
  try {
    const rows = randomRows(new Rng('bench/rows'), B, T, config.vocab_size);
    const weights = new Float32Array(T + 1).fill(1);
    let drawn = 0;
    // The same batch in every step, as for the peer.
    const works = [{ batch: pack({ next: () => ({ ids: rows[drawn++], weights }) }, B, T) }];
    const trainee = { checkpoint: { config, parameters }, objective: crossEntropyObjective() };
    const shared = {
      weights: exchange.share('weights', await allValues(table, parameters)),
      tokens: exchange.share('tokens', Int32Array.from(rows.flatMap((ids) => [...ids.subarray(0, T)]))),
      targets: exchange.share('targets', Int32Array.from(rows.flatMap((ids) => [...ids.subarray(1)]))),
    };
    const request = {
      process: 'torch',
      case: 'training',
      config,
      table: [...table].map(([name, { shape }]) => [name, shape]),
      ...shared,
      B,
      T,
      lr: LEARNING_RATE,
      optimizer: ADAMW_DEFAULTS,
    };
    const step = () => trainStep(trainee, optimizer, works, LEARNING_RATE);
    const check = agreement([await step(), await step()]);
    await measure({
      name: `quasar-${size}`,
      shape: `${B} rows of ${T}`,
      unit: 'token/s',
      work: B * T,
      ours: step,
      peers: {
        'torch eager': { ...request, variant: 'eager', check },
        'torch compiled': { ...request, variant: 'compiled', check },
      },
      goals: [
        { peer: 'torch eager', ratio: 2.5 },
        { peer: 'torch compiled', ratio: 1.5 },
      ],
    });
  } finally {
    exchange.close();
    optimizer.dispose();
    disposeParameters(parameters);
  }
}

/** One token more than a row trains on, so that every position has a target. */
function randomRows(rng, B, T, vocabulary) {
  return Array.from({ length: B }, () => Int32Array.from({ length: T + 1 }, () => rng.int(0, vocabulary - 1)));
}
