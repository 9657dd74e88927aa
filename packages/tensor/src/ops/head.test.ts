/** @file A head in a storage type gets the losses and the gradient that a float head of the same values gets. */
import { expect, it } from 'vitest';
import { gradients } from '../autograd.ts';
import { Tensor } from '../tensor.ts';
import { Draw } from '../testing/case.ts';
import { relativeError } from '../testing/compare.ts';
import { oracle } from '../testing/gradients.ts';
import { add, headLoss, headTopK, linear, topK, weightedSum } from './index.ts';

it('is the same whether logits are kept or made again', async () => {
  const draw = new Draw('head');
  const [N, V, d] = [6, 40, 8];
  const hidden = Tensor.from(oracle, [N, d], draw.normal(N * d));
  const stored = Tensor.from(oracle, [V, d], draw.normal(V * d), 'bf16');
  const kept = Tensor.from(oracle, [V, d], await stored.read());
  const targets = Tensor.from(oracle, [N], draw.ints(N, -1, V - 1), 'int');
  const teacher = topK(Tensor.from(oracle, [N, V], draw.normal(N * V)), 5);
  const [ofCe, ofKl] = [0, 1].map(() => Tensor.from(oracle, [N], draw.normal(N))) as [Tensor, Tensor];
  const results = await Promise.all(
    [stored, kept].map(async (head) => {
      hidden.requiresGrad = head.requiresGrad = true;
      const run = gradients([hidden, head], () => {
        const { crossEntropy, kl } = headLoss(hidden, head, targets, teacher);
        return { loss: add(weightedSum(crossEntropy, ofCe), weightedSum(kl, ofKl)) };
      });
      return Promise.all([run.value.loss, ...run.gradients].map((t) => (t as Tensor).read()));
    }),
  );
  const [again, plain] = results as [Float64Array[], Float64Array[]];
  for (const [i, values] of plain.entries())
    expect(relativeError(again[i] as Float64Array, values)).toBeLessThan(1e-12);
});

it('finds the top k of the logits', async () => {
  const draw = new Draw('top k');
  const [hidden, head] = [Tensor.from(oracle, [5, 4], draw.normal(20)), Tensor.from(oracle, [30, 4], draw.normal(120))];
  const [found, expected] = [headTopK(hidden, head, 7), topK(linear(hidden, head), 7)];
  for (const key of ['ids', 'logprobs', 'tail'] as const)
    expect(await found[key].read()).toEqual(await expected[key].read());
});
