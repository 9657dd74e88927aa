/** @file Orthogonal rows: as their name says, and the same everywhere. */
import { Rng } from '@quasar/base';
import { expect, it } from 'vitest';
import { orthogonalRows } from './orthogonal.ts';

it('rows of a run are orthogonal and have norm 1', () => {
  const [rows, width] = [40, 16];
  const x = orthogonalRows(rows, width, new Rng('rows'));
  const dot = (i: number, j: number) => {
    let sum = 0;
    for (let d = 0; d < width; d++) sum += (x[i * width + d] as number) * (x[j * width + d] as number);
    return sum;
  };
  for (let i = 0; i < rows; i++)
    for (let j = i - (i % width); j <= i; j++) expect(Math.abs(dot(i, j) - (i === j ? 1 : 0))).toBeLessThan(1e-14);
  // A new run begins with a row of its own.
  expect(Math.abs(dot(16, 0))).toBeGreaterThan(1e-3);
});

it('are a function of the seed', () => {
  const rows = (seed: string) => [...orthogonalRows(2, 4, new Rng(seed))];
  expect(rows('a')).toEqual(rows('a'));
  expect(rows('a')).not.toEqual(rows('b'));
});
