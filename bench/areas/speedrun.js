/**
 * @file Training steps of the softmax transformer of `quasar speedrun`, ours and PyTorch's: the same weights, batches, AdamW and
 * Muon, with equal losses and gradient norms in the first two steps. Counts tokens.
 */
import { Rng } from '@quasar/base';
import { disposeParameters, initialParameters, tensorTable } from '@quasar/model';
import { AdamW, crossEntropyObjective, Muon, pack, recipe, trainStep, transformerLike } from '@quasar/train';
import { Exchange } from '../exchange.js';
import { agreement, allValues } from '../training.js';

export const title = 'Speedrun: training step of the softmax transformer';

const VOCABULARY = 512;

export async function run({ device, measure, isQuick }) {
  for (const matrices of ['muon', 'adamw']) await steps(device, measure, isQuick ? 2 : 4, matrices);
}

async function steps(device, measure, depth, matrices) {
  const { config: quasar, settings } = recipe({ depth, vocabSize: VOCABULARY });
  const config = transformerLike(quasar);
  const { B, T, learningRate } = settings;
  const parameters = initialParameters(config, device, new Rng('bench'));
  const table = tensorTable(config);
  const Kind = matrices === 'muon' ? Muon : AdamW;
  const optimizer = new Kind(parameters, table, settings.optimizer);
  const exchange = new Exchange();
  try {
    const rng = new Rng('bench/rows');
    const rows = Array.from({ length: B }, () => Int32Array.from({ length: T + 1 }, () => rng.int(0, VOCABULARY - 1)));
    const weights = new Float32Array(T + 1).fill(1);
    let drawn = 0;
    const works = [{ batch: pack({ next: () => ({ ids: rows[drawn++], weights }) }, B, T) }];
    const trainee = { checkpoint: { config, parameters }, objective: crossEntropyObjective() };
    const request = {
      process: 'torch',
      case: 'transformer',
      config,
      table: [...table].map(([name, { shape }]) => [name, shape]),
      weights: exchange.share('weights', await allValues(table, parameters)),
      tokens: exchange.share('tokens', Int32Array.from(rows.flatMap((ids) => [...ids.subarray(0, T)]))),
      targets: exchange.share('targets', Int32Array.from(rows.flatMap((ids) => [...ids.subarray(1)]))),
      B,
      T,
      rates: [learningRate],
      optimizer: settings.optimizer,
      matrices,
    };
    const step = () => trainStep(trainee, optimizer, works, learningRate);
    const check = agreement([await step(), await step()]);
    await measure({
      name: `depth ${depth}, ${matrices}`,
      shape: `${B} rows of ${T}`,
      unit: 'token/s',
      work: B * T,
      ours: step,
      peers: {
        'torch eager': { ...request, variant: 'eager', check },
        'torch compiled': { ...request, variant: 'compiled', check },
      },
      goals: [{ peer: 'torch eager', ratio: 2 }],
    });
  } finally {
    exchange.close();
    optimizer.dispose();
    disposeParameters(parameters);
  }
}
