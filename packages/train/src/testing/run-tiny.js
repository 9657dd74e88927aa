/**
 * @file Child process: trains a tiny model in the folder of the first argument, saving after each step; prints each step
 * and at the end the digest of the weights. Runs the compiled packages.
 */
import { createHash } from 'node:crypto';
import { Rng } from '@quasar/base';
import { initialParameters, SIZES } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { crossEntropyObjective, TRAIN_DEFAULTS, textSource, train } from '../../dist/index.js';

const config = { ...SIZES.nano, vocab_size: 64, d_model: 64, n_layers: 2, n_heads: 1, d_ff: 64, dense_input_layers: 1 };
const checkpoint = {
  config,
  parameters: initialParameters(config, openDevice('auto'), new Rng('run')),
  tokenizer: null,
};
const ids = Int32Array.from({ length: 500 }, (_, i) => (i * i) % 64);
await train({
  checkpoint,
  objective: crossEntropyObjective(),
  source: textSource('squares', ids, 32),
  settings: { ...TRAIN_DEFAULTS, steps: 8, seed: 'run', B: 2, T: 32, saveEvery: 1 },
  directory: process.argv[2],
  onStep: ({ step }) => console.log(`step ${step}`),
});
const digest = createHash('sha256');
for (const tensor of checkpoint.parameters.values()) digest.update(new Uint8Array((await tensor.read()).buffer));
console.log(`weights ${digest.digest('hex')}`);
