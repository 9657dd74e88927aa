/** @file Random orthogonal rows with the same bits on every machine: sums, products and roots only. */
import type { Rng } from '@quasar/base';

/**
 * [rows, width], row-major. Each row has norm 1 and is orthogonal to the others of its run of `width` rows: more rows than
 * channels cannot all be orthogonal, so a new run starts then. Gram-Schmidt, twice, of uniform draws.
 */
export function orthogonalRows(rows: number, width: number, rng: Rng): Float64Array {
  const out = new Float64Array(rows * width);
  const row = (i: number) => out.subarray(i * width, (i + 1) * width);
  for (let i = 0; i < rows; i++) {
    const mine = row(i);
    for (let d = 0; d < width; d++) mine[d] = rng.next() * 2 - 1;
    for (let pass = 0; pass < 2; pass++) {
      for (let j = i - (i % width); j < i; j++) {
        const other = row(j);
        const along = dot(mine, other);
        for (let d = 0; d < width; d++) mine[d] = (mine[d] as number) - along * (other[d] as number);
      }
      const length = Math.sqrt(dot(mine, mine));
      for (let d = 0; d < width; d++) mine[d] = (mine[d] as number) / length;
    }
  }
  return out;
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i] as number) * (y[i] as number);
  return sum;
}
