/** @file For tests: what the plain-array models share. */

export type Vector = number[];

export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
};

/** Equal parts, in order. */
export const heads = (x: Vector, count: number): Vector[] =>
  Array.from({ length: count }, (_, h) => x.slice((h * x.length) / count, ((h + 1) * x.length) / count));
