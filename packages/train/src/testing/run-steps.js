/**
 * @file Child process: two training steps of a small model with AdamW and two with Muon, then scores of given tokens, on the
 * native device with the threads and the instruction set of the arguments; prints JSON. Runs the compiled packages.
 */
import { createHash } from 'node:crypto';
import { Rng } from '@quasar/base';
import { Engine } from '@quasar/infer';
import { initialParameters, SIZES } from '@quasar/model';
import { nativeDevice } from '@quasar/tensor';
import { crossEntropyObjective, TRAIN_DEFAULTS, textSource, train } from '../../dist/index.js';

const [threads, isa] = [Number(process.argv[2]), process.argv[3]];
const device = nativeDevice({ threads, isa });
// Both kinds of attention over several chunks, experts, two loops.
const config = {
  ...SIZES.nano,
  vocab_size: 300,
  d_model: 64,
  n_layers: 2,
  n_heads: 2,
  head_dim: 32,
  d_ff: 96,
  quasar_layers: 1,
  gated_layers: 1,
  dense_input_layers: 0,
  num_routed_experts: 4,
  shared_expert_size: 32,
  routed_expert_size: 32,
  num_loops: 2,
};
const ids = Int32Array.from({ length: 2000 }, (_, i) => (i * i) % 300);
const digest = createHash('sha256');
for (const matrices of ['adamw', 'muon']) {
  const checkpoint = { config, parameters: initialParameters(config, device, new Rng('steps')), tokenizer: null };
  await train({
    checkpoint,
    objective: crossEntropyObjective(),
    source: textSource('squares', ids, 100),
    settings: { ...TRAIN_DEFAULTS, steps: 2, seed: 'steps', B: 2, T: 150, matrices },
    directory: null,
  });
  for (const tensor of checkpoint.parameters.values()) digest.update(new Uint8Array((await tensor.read()).buffer));
  const n = 90;
  const top = {
    k: 2,
    ids: Int32Array.from({ length: 2 * n }, (_, i) => (7 * i) % 300),
    logprobs: new Float32Array(2 * n).fill(Math.log(0.4)),
    tail: new Float32Array(n).fill(0.2),
  };
  const engine = new Engine(config, checkpoint.parameters, null, device);
  const [scores] = await engine.scoreTopK([{ prompt: ids.slice(0, 50), continuation: ids.slice(50, 50 + n), top }]);
  digest.update(new Uint8Array(scores.buffer));
}
console.log(JSON.stringify({ isa: device.isa, threads: device.threads, digest: digest.digest('hex') }));
