/** @file Mixtures: weights are shares of the tokens that reach the model, with documents of any lengths. */
import { expect, it } from 'vitest';
import { pack } from './batch.ts';
import { indexedSource, mixture } from './source.ts';

/** Documents of `id`, of lengths that vary around a mean. */
const source = (id: number, tokens: number) =>
  indexedSource(`${id}`, (_, index) => {
    const length = Math.max(2, Math.round(tokens * (0.5 + (index % 11) / 10)));
    return { ids: new Int32Array(length).fill(id), weights: new Float32Array(length).fill(1) };
  });

it.each([
  [[1, 1], [40, 257], 256],
  [[2, 1], [90, 257], 256],
  [[0.9, 0.1], [300, 10], 128],
  [[1, 2, 3], [5, 50, 500], 256],
  [[1, 0, 1], [5, 50, 500], 64],
])('weights %j of documents of %j tokens', (weights, lengths, T) => {
  const mixed = mixture(
    weights.map((weight, id) => ({ weight, source: source(id, lengths[id] as number) })),
    T,
  ).open('mix');
  const tokens = weights.map(() => 0);
  for (const id of pack(mixed, 1500, T).tokens) tokens[id] = (tokens[id] as number) + 1;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (const [id, weight] of weights.entries()) {
    expect(Math.abs((tokens[id] as number) / (1500 * T) - weight / total)).toBeLessThan(0.03);
  }
});
