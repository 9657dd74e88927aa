/** @file Weights after a symmetry of their family, or after what else a copier does to them. All seeded. */
import { Rng } from '@quasar/base';
import type { Weights } from './checkpoints.ts';
import type { Member, Rotation, ScalePair, Symmetry } from './symmetries.ts';

/** Runs `move` over every vector of `count` values that the member has; others keep their place. */
function eachVector(weights: Weights, member: Member, count: number, move: (vector: Float64Array) => void): void {
  const { name, axis, offset = 0, outer = 1, inner = 1, row } = member;
  const tensor = weights.get(name)!;
  const [shape, values] = [tensor.shape, tensor.values as Float32Array];
  const before = shape.slice(0, axis).reduce((p, n) => p * n, 1);
  const after = shape.slice(axis + 1).reduce((p, n) => p * n, 1);
  const length = shape[axis]!;
  const vector = new Float64Array(count);
  for (let b = 0; b < before; b++) {
    if (row !== undefined && b !== row) continue;
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < inner; i++)
        for (let a = 0; a < after; a++) {
          const place = (c: number) => (b * length + offset + (o * count + c) * inner + i) * after + a;
          for (let c = 0; c < count; c++) vector[c] = values[place(c)]!;
          move(vector);
          for (let c = 0; c < count; c++) values[place(c)] = vector[c]!;
        }
  }
}

export function cloned(weights: Weights): Weights {
  return new Map([...weights].map(([name, tensor]) => [name, { ...tensor, values: Float32Array.from(tensor.values) }]));
}

export function permuted(weights: Weights, groups: readonly Symmetry[], seed: string): Weights {
  const out = cloned(weights);
  groups.forEach(({ count, members }, i) => {
    const order = new Rng(`${seed}/${i}`).shuffle(Array.from({ length: count }, (_, at) => at));
    for (const member of members)
      eachVector(out, member, count, (vector) => {
        const old = vector.slice();
        order.forEach((from, to) => {
          vector[to] = old[from]!;
        });
      });
  });
  return out;
}

/** @param draw a factor: a power of two keeps BF16 exact, others round */
export function rescaled(
  weights: Weights,
  pairs: readonly ScalePair[],
  seed: string,
  draw: (rng: Rng) => number = (rng) => rng.pick([0.25, 0.5, 2, 4]),
): Weights {
  const out = cloned(weights);
  pairs.forEach(({ count, by, through, factors }, i) => {
    const rng = new Rng(`${seed}/${i}`);
    const drawn = Array.from({ length: count }, () => (factors === 'signs' ? rng.pick([-1, 1]) : draw(rng)));
    const times = (power: 1 | -1) => (vector: Float64Array) => {
      for (let c = 0; c < count; c++) vector[c] = vector[c]! * drawn[c]! ** power;
    };
    for (const member of by) eachVector(out, member, count, times(1));
    for (const member of through) eachVector(out, member, count, times(-1));
  });
  return out;
}

/** Random rotations, as products of as many plane rotations as there are pairs of neighbours in four random orders. */
export function rotated(weights: Weights, rotations: readonly Rotation[], seed: string): Weights {
  const out = cloned(weights);
  rotations.forEach(({ count, members }, i) => {
    const rng = new Rng(`${seed}/${i}`);
    const planes = Array.from({ length: 4 }, () => rng.shuffle(Array.from({ length: count }, (_, at) => at))).flatMap(
      (order) =>
        Array.from({ length: Math.floor(count / 2) }, (_, p) => {
          const angle = rng.next() * 2 * Math.PI;
          return { x: order[2 * p]!, y: order[2 * p + 1]!, cos: Math.cos(angle), sin: Math.sin(angle) };
        }),
    );
    for (const member of members)
      eachVector(out, member, count, (vector) => {
        for (const { x, y, cos, sin } of planes) {
          const [u, v] = [vector[x]!, vector[y]!];
          vector[x] = cos * u - sin * v;
          vector[y] = sin * u + cos * v;
        }
      });
  });
  return out;
}
