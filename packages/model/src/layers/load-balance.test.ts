/** @file The load-balancing loss against its definition written out, and its gradient. */
import { Rng } from '@quasar/base';
import { gradients, referenceDevice, Tensor } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { loadBalance } from './load-balance.ts';

const device = referenceDevice({ precision: 'f64' });
const [N, E, K] = [7, 5, 2];

const rng = new Rng('balance');
const drawn = Array.from({ length: 3 }, () => Array.from({ length: N * E }, () => 2 * rng.normal()));

const rowsOf = (logits: number[]) => Array.from({ length: N }, (_, n) => logits.slice(n * E, (n + 1) * E));
const softmax = (row: number[]) => {
  const weights = row.map(Math.exp);
  const total = weights.reduce((a, b) => a + b);
  return weights.map((w) => w / total);
};
/** Every token's K best experts over all layers, one-hot; means over tokens; E times the sum of products. */
function plain(layers: number[][], chosenBy = layers): number {
  const assigned = new Float64Array(E);
  const probability = new Float64Array(E);
  layers.forEach((logits, l) => {
    for (const row of rowsOf(chosenBy[l] as number[])) {
      const order = row.map((_, e) => e).sort((a, b) => (row[b] as number) - (row[a] as number));
      for (const e of order.slice(0, K)) assigned[e] = (assigned[e] as number) + 1;
    }
    for (const row of rowsOf(logits))
      for (const [e, p] of softmax(row).entries()) probability[e] = (probability[e] as number) + p;
  });
  const rows = N * layers.length;
  return E * assigned.reduce((sum, count, e) => sum + (count / rows) * ((probability[e] as number) / rows), 0);
}

const counts = (logits: number[]) => {
  const found = new Array<number>(E).fill(0);
  for (const row of rowsOf(logits)) {
    const order = row.map((_, e) => e).sort((a, b) => (row[b] as number) - (row[a] as number));
    for (const e of order.slice(0, K)) found[e] = (found[e] as number) + 1;
  }
  return found;
};
const layersOf = () =>
  drawn.map((logits) => ({
    logits: Tensor.from(device, [N, E], logits),
    counts: Tensor.from(device, [E], counts(logits)),
  }));

it('is what public transformers compute over the tokens of all layers', async () => {
  expect(await loadBalance(layersOf()).item()).toBeCloseTo(plain(drawn), 12);
  const balanced = [{ logits: Tensor.zeros(device, [N, E]), counts: Tensor.filled(device, [E], (N * K) / E) }];
  expect(await loadBalance(balanced).item()).toBeCloseTo(K, 12);
});

it('has the slope of its definition, where the choice of experts is a constant', async () => {
  const layers = layersOf();
  const parameters = layers.map(({ logits }) => logits);
  for (const logits of parameters) logits.requiresGrad = true;
  const { gradients: found } = gradients(parameters, () => ({ loss: loadBalance(layers) }));
  for (const [l, gradient] of found.entries()) {
    const values = await gradient?.read();
    for (const at of [0, 8, N * E - 1]) {
      const moved = (by: number) =>
        plain(
          drawn.map((logits, i) => (i === l ? logits.map((x, j) => (j === at ? x + by : x)) : logits)),
          drawn,
        );
      expect(values?.[at]).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 8);
    }
  }
});
