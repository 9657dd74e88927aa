/**
 * @file One whole training step of a small model: batch, forward, backward, clipping, AdamW, expert bias. Counts tokens. The
 * peer gets our weights and our batch, and must find our losses and gradient norms in two steps before it is timed.
 */
import { Rng } from '@quasar/base';
import { disposeParameters, initialParameters, SIZES, tensorTable } from '@quasar/model';
import { ADAMW_DEFAULTS, AdamW, crossEntropyObjective, pack, trainStep } from '@quasar/train';
import { Exchange } from '../exchange.js';

export const title = 'Training step';

const LEARNING_RATE = 1e-3;
/** Relative; float32 sums over thousands of tokens in another order. */
const TOLERANCE = { ce: 1e-4, gradientNorm: 1e-3 };

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
    // The second step shows what the first one did to the weights.
    const ours = [];
    for (let i = 0; i < 2; i++) {
      const { metrics, gradientNorm } = await trainStep(trainee, optimizer, works, LEARNING_RATE);
      ours.push({ ce: metrics.ce, gradientNorm });
    }
    const check = ({ steps }) => {
      ours.forEach((step, i) => {
        for (const [what, limit] of Object.entries(TOLERANCE)) {
          const apart = Math.abs(steps[i][what] / step[what] - 1);
          if (!(apart <= limit))
            throw new Error(`${what} of step ${i + 1} is ${steps[i][what]}, ours ${step[what]}: not the same model`);
        }
      });
    };
    await measure({
      name: `quasar-${size}`,
      shape: `${B} rows of ${T}`,
      unit: 'token/s',
      work: B * T,
      ours: () => trainStep(trainee, optimizer, works, LEARNING_RATE),
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

/** Every tensor of the table, one after the other. */
async function allValues(table, parameters) {
  const parts = await Promise.all([...table.keys()].map((name) => parameters.get(name).read()));
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
