/** @file Gates: training computes what evaluation computes, and neither changes a parameter or a buffer. */
import { gradients, scope, Tensor, weightedSum } from '@quasar/tensor';
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
    for (const recompute of [false, true]) {
      const logits = scope(() => {
        const { value } = gradients(trained, () => {
          const logits = vocabularyLogits(
            parameters,
            forward(config, parameters, { tokens, B: 1, T, recompute }).hidden,
          );
          return { loss: weightedSum(logits, Tensor.filled(device, logits.shape, 1)), logits };
        });
        return value.logits;
      });
      expect(maxDifference(await logits.read(), evaluated)).toBe(0);
    }
    expect(await values()).toEqual(before);
  });
}
