/**
 * @file The loss fused with its head product: cross-entropy from hidden rows and a vocabulary head, no logits in memory.
 * Counts 2 N V d FLOP for the loss and 6 N V d with both gradients, although the gradients make the logits a second time.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { gradients, headLoss, persist, scope, Tensor, weightedSum } from '@quasar/tensor';
import { Exchange, requireEqual } from '../exchange.js';
import { filled } from '../inputs.js';

export const title = 'Loss fused with the head product';

const MOST_EXTRA_MB = 64;

export async function run({ device, measure, add, isQuick }) {
  const [N, V, d] = isQuick ? [4, 96, 32] : [512, 248_320, 1536];
  const exchange = new Exchange();
  const hidden = filled(device, [N, d], { seed: 1 });
  const head = filled(device, [V, d], { seed: 2, of: (x) => x / 10 });
  const ids = Int32Array.from({ length: N }, (_, i) => (i * 7919) % V);
  const targets = persist(Tensor.from(device, [N], ids, 'int'));
  const mean = persist(Tensor.filled(device, [N], 1 / N));
  for (const t of [hidden, head]) t.requiresGrad = true;
  const loss = () => weightedSum(headLoss(hidden, head, targets, undefined).crossEntropy, mean);
  const both = () => gradients([hidden, head], () => ({ loss: loss() })).gradients;
  const files = {
    hidden: exchange.share('hidden', await hidden.read()),
    head: exchange.share('head', await head.read()),
    targets: exchange.share('targets', ids),
  };
  const shape = `${N} rows, ${V} of ${d}`;
  const common = { shape, unit: 'GFLOP/s', bound: 'gflops', goals: [{ share: 0.6 }], rounds: 2 };
  try {
    await measure({ ...common, name: 'loss', work: 2 * N * V * d, ours: () => scope(() => void loss()) });
    const before = residentBytes(true);
    const [dHidden, dHead] = scope(both);
    const extra = residentBytes(false) - before - 4 * (dHidden.size + dHead.size);
    const expected = await dHidden.read();
    for (const t of [dHidden, dHead]) t.dispose();
    await measure({
      ...common,
      name: 'loss and gradients',
      work: 6 * N * V * d,
      ours: () => scope(() => void both()),
      peers: {
        'torch eager': {
          process: 'torch',
          case: 'head_loss',
          N,
          V,
          d,
          files,
          check: ({ gradient }) => requireEqual('gradient', expected, gradient, 1e-4),
        },
      },
      note: ({ value }) => `${((value * 8) / 6).toFixed(0)} GFLOP/s with the second making of the logits counted`,
    });
    if (!Number.isFinite(extra)) return;
    add({
      case: 'extra memory',
      shape,
      unit: 'MB',
      ours: { value: Math.max(extra / 1e6, 0.1) },
      goals: [{ most: MOST_EXTRA_MB }],
    });
  } finally {
    exchange.close();
    for (const t of [hidden, head, targets, mean]) t.dispose();
  }
}

/** The most memory this process held since the last reset (Linux; NaN elsewhere). */
function residentBytes(isReset) {
  try {
    if (isReset) writeFileSync('/proc/self/clear_refs', '5');
    return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  } catch {
    return Number.NaN;
  }
}
