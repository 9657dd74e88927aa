/** @file Child process: trains a tiny model into the folder of the first argument until it is killed; prints each step. */
import { Rng } from '@quasar/base';
import { initialParameters, SIZES } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { crossEntropyObjective, runStage, TRAIN_DEFAULTS, textSource } from '../../dist/index.js';

const config = { ...SIZES.nano, vocab_size: 64, d_model: 64, n_layers: 2, n_heads: 1, d_ff: 64, dense_input_layers: 1 };
const parameters = initialParameters(config, openDevice('auto'), new Rng('run'));
const source = textSource(
  'squares',
  Int32Array.from({ length: 500 }, (_, i) => (i * i) % 64),
  32,
);
const settings = { ...TRAIN_DEFAULTS, steps: 1e6, seed: 'run', B: 2, T: 32, saveEvery: 2 };
await runStage(
  {
    name: 'pretrain',
    checkpoint: { config, parameters, tokenizer: null },
    objective: crossEntropyObjective(),
    objectiveSpec: { kind: 'cross_entropy' },
    source,
    settings,
  },
  {
    directory: process.argv[2],
    steps: settings.steps,
    seed: settings.seed,
    onStep: ({ step }) => console.log(`step ${step}`),
  },
);
