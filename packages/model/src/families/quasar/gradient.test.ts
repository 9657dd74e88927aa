/** @file The gradient of the whole model against finite differences in float64, for each kind of parameter. */
import { Rng } from '@quasar/base';
import { add, crossEntropy, gradients, noGrad, referenceDevice, scope, Tensor, weightedSum } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { forward, vocabularyLogits } from '../../forward.ts';
import { randomTokens, TINY, tinyParameters } from '../../testing/tiny.ts';
import type { QuasarConfig } from './config.ts';

/** Two loops, injection, router losses large enough to be seen, embeddings far larger than a step. */
const CONFIG: QuasarConfig = {
  ...TINY,
  d_model: 16,
  n_heads: 1,
  initializer_range: 1,
  num_loops: 2,
  use_looped_injection: true,
  moe_aux_loss_coeff: 0.5,
  moe_z_loss_coeff: 0.2,
};
const STEP = 1e-6;

it('agrees with finite differences for every kind of parameter', { timeout: 60_000 }, async () => {
  const device = referenceDevice({ precision: 'f64' });
  const parameters = await tinyParameters(device, CONFIG, 'gradient');
  const [B, T] = [1, 5];
  const tokens = randomTokens(B * T, CONFIG.vocab_size, 'gradient');
  const targets = randomTokens(B * T, CONFIG.vocab_size, 'targets');
  const positions = Int32Array.from({ length: B * T }, (_, i) => (i < 3 ? i : i - 3));
  const loss = () => {
    const { hidden, aux } = forward(CONFIG, parameters, { tokens, B, T, positions });
    const ce = crossEntropy(vocabularyLogits(parameters, hidden), Tensor.from(device, [B * T], targets, 'int'));
    const mean = weightedSum(ce, Tensor.filled(device, [B * T], 1), 1 / (B * T));
    return { loss: add(mean, aux.routerLoss as Tensor) };
  };
  const names = [...parameters.keys()].filter((name) => !/max_vio|all_moe/.test(name));
  const tensors = names.map((name) => parameters.get(name) as Tensor);
  for (const t of tensors) t.requiresGrad = true;
  const found = scope(() => gradients(tensors, loss).gradients);
  const lossAt = async () => {
    const value = scope(() => noGrad(loss).loss);
    const number = await value.item();
    value.dispose();
    return number;
  };

  // One tensor of each kind: the name without the layer, for both kinds of layers and feed-forwards.
  const kinds = new Map(names.map((name) => [name.replace(/layers\.\d+/, 'layers'), name]));
  const rng = new Rng('entries');
  const wrong: string[] = [];
  let withGradient = 0;
  for (const name of kinds.values()) {
    const i = names.indexOf(name);
    const tensor = tensors[i] as Tensor;
    const gradient = Float64Array.from((await found[i]?.read()) ?? new Float64Array(tensor.size));
    const values = (await tensor.read()).slice();
    // Of a gradient with many zeros (rows of the embedding), the largest entry is looked at as well.
    const largest = gradient.reduce((best, g, at) => (Math.abs(g) > Math.abs(gradient[best] as number) ? at : best), 0);
    for (const at of [largest, rng.int(0, tensor.size - 1)]) {
      const original = values[at] as number;
      const moved = async (by: number) => {
        values[at] = original + by;
        tensor.write(values);
        return lossAt();
      };
      const slope = ((await moved(STEP)) - (await moved(-STEP))) / (2 * STEP);
      values[at] = original;
      tensor.write(values);
      const g = gradient[at] as number;
      if (g !== 0) withGradient++;
      if (!(Math.abs(slope - g) <= 1e-6 * Math.max(1e-2, Math.abs(g))))
        wrong.push(`${name}[${at}]: ${g}, slope ${slope}`);
    }
  }
  expect(wrong).toEqual([]);
  // All but f_proj, A_log and dt_bias of the two quasar layers take part.
  expect(found.filter((g) => g === null)).toHaveLength(6);
  expect(withGradient).toBeGreaterThan(kinds.size);
});
