/** @file LayerNorm against its formula, also of rows far from zero. */
import { expect, it } from 'vitest';
import { openDevice } from '../devices/open.ts';
import { referenceDevice } from '../devices/reference/device.ts';
import { Tensor } from '../tensor.ts';
import { Draw } from '../testing/case.ts';
import { layerNorm } from './index.ts';

it.each([
  { device: referenceDevice({ precision: 'f64' }), tolerance: 1e-12 },
  { device: openDevice('auto'), tolerance: 1e-5 },
])('has mean and variance of its weights', async ({ device, tolerance }) => {
  const [M, N, eps] = [5, 48, 1e-5];
  const draw = new Draw('layer norm');
  const [x, w, b] = [draw.normal(M * N).map((v) => 3 * v + 10), draw.normal(N), draw.normal(N)];
  const tensors = [Tensor.from(device, [M, N], x), Tensor.from(device, [N], w), Tensor.from(device, [N], b)] as const;
  const found = await layerNorm(...tensors, eps).read();
  for (let i = 0; i < M; i++) {
    const row = x.subarray(i * N, (i + 1) * N);
    const mean = row.reduce((sum, v) => sum + v, 0) / N;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / N;
    row.forEach((v, j) => {
      const expected = ((v - mean) / Math.sqrt(variance + eps)) * (w[j] as number) + (b[j] as number);
      expect(Math.abs((found[i * N + j] as number) - expected), `row ${i}, channel ${j}`).toBeLessThan(tolerance);
    });
  }
});
