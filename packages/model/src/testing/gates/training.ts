/** @file Gates: training computes what evaluation computes, and neither changes a parameter or a buffer. */
import { add, gradients, scope, Tensor, weightedSum } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { forward, vocabularyLogits } from '../../forward.ts';
import type { GateCase } from '../gates.ts';
import { logitsOf, maxDifference, randomTokens } from '../tiny.ts';

export function trainingGates({ config, makeParameters, device, length: T }: GateCase): void {
  it('training computes what evaluation computes, bit for bit, and neither changes a parameter or a buffer', async () => {
    const parameters = await makeParameters(device, config);
    const values = async () => Promise.all([...parameters].map(async ([name, t]) => [name, [...(await t.read())]]));
    const before = await values();
    const tokens = randomTokens(T, config.vocab_size, 'train');
    const evaluated = await logitsOf(config, parameters, { tokens, B: 1, T });
    const trained = [...parameters.values()];
    for (const p of trained) p.requiresGrad = true;
    const step = async (recompute: boolean) => {
      const {
        value,
        gradients: found,
        rowGradients,
      } = scope(() =>
        gradients(trained, () => {
          const { hidden, aux } = forward(config, parameters, { tokens, B: 1, T, recompute });
          const logits = vocabularyLogits(parameters, hidden);
          const sum = weightedSum(logits, Tensor.filled(device, logits.shape, 1));
          const losses = [sum, aux.routerLoss, aux.memoryLoss].filter((loss) => loss != null);
          return { loss: losses.reduce(add), logits };
        }),
      );
      expect(maxDifference(await value.logits.read(), evaluated)).toBe(0);
      const all = [...found, ...rowGradients.map((of) => of?.rows)];
      return Promise.all(all.map(async (gradient) => [...((await gradient?.read()) ?? [])]));
    };
    const plain = await step(false);
    expect(plain.some((gradient) => gradient.some((g) => g !== 0))).toBe(true);
    // Layers that are computed again in the backward pass give the same gradients.
    expect(await step(true)).toEqual(plain);
    expect(await values()).toEqual(before);
  });
}
