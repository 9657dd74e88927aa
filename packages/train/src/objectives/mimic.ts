/**
 * @file Branch mimicry (architecture §3.12): each branch learns to give what the softmax attention beside it gives, smooth-L1 per
 * layer. It prepares Quasar-Preview for layers without softmax attention, and branches of a graft for what they join.
 */
import { QuasarError } from '@quasar/base';
import { forward, type MimicPair } from '@quasar/model';
import { add, axpby, clamp, gatherRows, linear, multiply, reshape, scale, Tensor } from '@quasar/tensor';
import type { Objective } from './objective.ts';
import { countedRows, weightedMean } from './rows.ts';

/** Outputs beyond it count as it. */
const BOUND = 80;

/** Mean over layers of the mean over channels. The model's other losses take no part. */
export function mimicObjective(): Objective {
  return {
    name: 'mimic',
    evaluate({ config, parameters }, input) {
      const { batch } = input;
      const { mimic: pairs = [], aux, state } = forward(config, parameters, { ...batch, ...input, mimic: true });
      if (pairs.length === 0) {
        throw new QuasarError(
          'train.bad_objective',
          `mimic: no layer of this ${config.model_type} model has a branch`,
          {
            hint: 'take a graft, or a model with branches beside softmax attention',
          },
        );
      }
      const { index, weights } = countedRows(batch, config.vocab_size);
      const sum = pairs.map((pair) => smoothL1(pair, index)).reduce(add);
      const mimic = scale(weightedMean(sum, weights, input), 1 / pairs.length);
      return { loss: mimic, metrics: { mimic }, counts: aux.counts, state };
    },
  };
}

/** Of d = branch − attention: d²/2 up to 1, |d| − ½ beyond; mean over channels, per row [n]. */
function smoothL1({ attention, branch }: MimicPair, index: Int32Array): Tensor {
  const { device } = branch;
  const D = branch.dim(-1);
  const rows = Tensor.from(device, [index.length], index, 'int');
  const [guess, truth] = [branch, attention].map((x) =>
    clamp(gatherRows(reshape(x, [x.size / D, D]), rows), -BOUND, BOUND),
  ) as [Tensor, Tensor];
  const d = axpby(1, guess, -1, truth);
  const near = clamp(d, -1, 1);
  const loss = multiply(near, axpby(1, d, -0.5, near)); // [n, D]
  return reshape(linear(loss, Tensor.filled(device, [1, D], 1 / D)), [index.length]);
}
