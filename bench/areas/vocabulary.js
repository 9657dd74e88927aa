/**
 * @file Losses over a vocabulary of 248,320 on given logits, loss and gradient. Counts the bytes that must move: both sides'
 * logits read once, the gradient written once, 12 per entry.
 */
import { divergence, gradients, scope, Tensor, weightedSum } from '@quasar/tensor';
import { Exchange, requireEqual } from '../exchange.js';
import { filled } from '../inputs.js';

export const title = 'Vocabulary losses on given logits';

export async function run({ device, measure, isQuick }) {
  const [M, V] = isQuick ? [2, 64] : [64, 248_320];
  const exchange = new Exchange();
  try {
    for (const direction of ['forward', 'reverse']) {
      const [logits, teacher] = [1, 2].map((seed) => filled(device, [M, V], { seed, of: (x) => 4 * x }));
      logits.requiresGrad = true;
      const ones = Tensor.filled(device, [M], 1);
      const loss = () => ({ loss: weightedSum(divergence(logits, teacher, { direction }), ones) });
      const gradient = scope(() => gradients([logits], loss).gradients[0]);
      const expected = await gradient.read();
      gradient.dispose();
      const request = {
        process: 'torch',
        case: 'divergence',
        direction,
        M,
        V,
        files: {
          logits: exchange.share('logits', await logits.read()),
          teacher: exchange.share('teacher', await teacher.read()),
        },
        check: ({ gradient: path }) => requireEqual('gradient', expected, path, 1e-4),
      };
      await measure({
        name: `${direction} KL, loss and gradient`,
        shape: `${M} rows of ${V}`,
        unit: 'GB/s',
        work: 12 * M * V,
        bound: 'copyGBs',
        inputs: [logits, teacher, ones],
        ours: () => scope(() => void gradients([logits], loss)),
        peers: {
          'torch eager': { ...request, variant: 'eager' },
          'torch compiled': { ...request, variant: 'compiled' },
        },
        goals: [{ share: 0.7 }, { peer: 'torch eager', ratio: 10 }, { peer: 'torch compiled', ratio: 10 }],
      });
    }
  } finally {
    exchange.close();
  }
}
