/**
 * @file One AdamW update in place. Counts the bytes that must move: weight, two moments and gradient are read (16 per
 * parameter), weight and moments are written (12).
 */
import { filled } from '../inputs.js';

export const title = 'AdamW';

export async function run({ device, measure, isQuick }) {
  const size = isQuick ? 4096 : 2 ** 24;
  const [weight, m, gradient] = [1, 2, 3].map((seed) => filled(device, [size], { seed }));
  const v = filled(device, [size], { seed: 4, of: (x) => x * x });
  const settings = { lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 };
  const { lr, beta1, beta2, eps, weightDecay } = settings;
  const buffers = [weight, m, v, gradient].map((t) => t.buffer);
  await measure({
    name: 'AdamW, float32',
    shape: `${size} parameters`,
    unit: 'GB/s',
    work: 28 * size,
    bound: 'copyGBs',
    inputs: [weight, m, v, gradient],
    ours: () => device.run('adamw', [...buffers, null], [size, lr, beta1, beta2, eps, weightDecay, 1, 1, 1, 0]),
    peers: { 'torch fused': { process: 'torch', case: 'adamw', size, ...settings } },
    goals: [{ share: 0.8 }],
  });
}
