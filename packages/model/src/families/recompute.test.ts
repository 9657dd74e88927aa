/** @file Layers that are computed again in the backward pass: the same gradients, bit for bit, in much less memory. */
import { Rng } from '@quasar/base';
import { crossEntropy, gradients, nativeAvailable, nativeDevice, scope, Tensor, weightedSum } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { forward, vocabularyLogits } from '../forward.ts';
import { initialParameters } from '../parameters.ts';
import { SIZES } from './index.ts';
import type { QuasarConfig } from './quasar/config.ts';

/** Twelve layers of both kinds, two loops with an anchor: parameters are used more than once. */
const CONFIG: QuasarConfig = {
  ...SIZES.nano,
  vocab_size: 64,
  d_model: 64,
  n_heads: 2,
  head_dim: 32,
  d_ff: 96,
  shared_expert_size: 48,
  routed_expert_size: 32,
  num_loops: 2,
  use_looped_injection: true,
};
const [B, T] = [4, 128];

async function step(recompute: boolean) {
  const device = nativeDevice();
  const parameters = initialParameters(CONFIG, device, new Rng('recompute'));
  for (const tensor of parameters.values()) tensor.requiresGrad = true;
  const rng = new Rng('tokens');
  const tokens = Int32Array.from({ length: B * T }, () => rng.int(0, 63));
  const before = device.memory?.().usedBytes ?? 0;
  const out = scope(() =>
    gradients([...parameters.values()], () => {
      const { hidden, aux } = forward(CONFIG, parameters, { tokens, B, T, recompute });
      const loss = crossEntropy(vocabularyLogits(parameters, hidden), Tensor.from(device, [B * T], tokens, 'int'));
      return { loss: weightedSum(loss, Tensor.filled(device, [B * T], 1 / (B * T))), counts: aux.counts };
    }),
  );
  const peak = (device.memory?.().peakBytes ?? 0) - before;
  const found = await Promise.all(out.gradients.map(async (gradient) => (await gradient?.read()) ?? null));
  return {
    loss: await out.value.loss.item(),
    found,
    peak,
  };
}

it.skipIf(!nativeAvailable())('gives the bits of a plain step with at most a fifth of its memory', async () => {
  const plain = await step(false);
  const again = await step(true);
  expect(again.loss).toBe(plain.loss);
  expect(plain.found.filter((gradient) => gradient?.some((x) => x !== 0)).length).toBeGreaterThan(100);
  expect(again.found).toEqual(plain.found);
  expect(again.peak * 5).toBeLessThan(plain.peak);
});
