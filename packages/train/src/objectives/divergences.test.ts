/** @file Distances against their definitions written out, and their gradients against finite differences, in float64. */
import { Rng } from '@quasar/base';
import {
  gradients,
  linear,
  nativeAvailable,
  nativeDevice,
  referenceDevice,
  scope,
  Tensor,
  weightedSum,
} from '@quasar/tensor';
import { describe, expect, it } from 'vitest';
import { studentBuckets, teacherBuckets } from './buckets.ts';
import { DISTANCES, type Distance, type DistanceOptions, distances } from './divergences.ts';
import { headDistances, viewDistances } from './head-distances.ts';

const device = referenceDevice({ precision: 'f64' });
const rng = new Rng('divergences');
const normal = (size: number, factor = 1) => Float64Array.from({ length: size }, () => factor * rng.normal());
const rowsOf = (x: ArrayLike<number>, width: number) =>
  Array.from({ length: x.length / width }, (_, i) => Array.from(x).slice(i * width, (i + 1) * width));

const softmax = (x: number[], temperature = 1) => {
  const weights = x.map((value) => Math.exp(value / temperature));
  const total = weights.reduce((a, b) => a + b);
  return weights.map((w) => w / total);
};
const kl = (p: number[], q: number[]) => p.reduce((sum, x, i) => sum + x * Math.log(x / (q[i] as number)), 0);
const mix = (share: number, p: number[], q: number[]) => p.map((x, i) => share * x + (1 - share) * (q[i] as number));

/** Of two rows of logits. */
function plain(kind: Distance, student: number[], teacher: number[], options: DistanceOptions): number {
  const { temperature = 1, alpha = 0.1, beta = 0.5 } = options;
  const [q, p] = [softmax(student, temperature), softmax(teacher, temperature)];
  const m = mix(beta, p, q);
  const value = {
    forward: () => kl(p, q),
    reverse: () => kl(q, p),
    skew: () => kl(p, mix(alpha, p, q)),
    skewReverse: () => kl(q, mix(alpha, q, p)),
    js: () => beta * kl(p, m) + (1 - beta) * kl(q, m),
  }[kind]();
  return temperature ** 2 * value;
}

const OPTIONS: DistanceOptions[] = [{}, { temperature: 2, alpha: 0.3, beta: 0.8 }];
const CASES = DISTANCES.flatMap((kind) => OPTIONS.map((options) => ({ kind, options })));

/** Values [n], and the error of their gradient in every number of `data`. */
async function check(shape: number[], data: Float64Array, of: (x: Tensor) => Tensor) {
  const tensor = Tensor.from(device, shape, data);
  tensor.requiresGrad = true;
  const factors = (size: number) =>
    Tensor.from(
      device,
      [size],
      Float64Array.from({ length: size }, (_, i) => 1 + i),
    );
  const loss = () => {
    const values = of(tensor);
    return { values, loss: weightedSum(values, factors(values.size)) };
  };
  const { value, gradients: found } = gradients([tensor], loss);
  const gradient = (await found[0]?.read()) ?? [];
  const sumAt = async (at: number, by: number) => {
    tensor.write(data.map((x, i) => (i === at ? x + by : x)));
    return scope(() => loss().loss).item();
  };
  let worst = 0;
  for (let at = 0; at < data.length; at++) {
    const slope = ((await sumAt(at, 1e-5)) - (await sumAt(at, -1e-5))) / 2e-5;
    worst = Math.max(worst, Math.abs(slope - (gradient[at] as number)));
  }
  return { values: await value.values.read(), worst };
}

describe.each(CASES)('$kind at $options', ({ kind, options }) => {
  it('between whole distributions', async () => {
    const [n, V] = [3, 7];
    const [own, given] = [normal(n * V, 2), normal(n * V, 2)];
    const teacher = Tensor.from(device, [n, V], given);
    const { values, worst } = await check([n, V], own, (x) => distances([kind], x, teacher, options)[0] as Tensor);
    const expected = rowsOf(own, V).map((row, i) => plain(kind, row, rowsOf(given, V)[i] as number[], options));
    expect(Math.max(...values.map((x, i) => Math.abs(x - (expected[i] as number))))).toBeLessThan(1e-12);
    expect(worst).toBeLessThan(1e-7);
  });

  it('between the masses of buckets', async () => {
    const [n, V, k] = [2, 9, 3];
    const ids = Int32Array.of(4, 0, 8, 2, 7, 1);
    const own = normal(n * V, 2);
    const masses = rowsOf(normal(n * (k + 1)), k + 1).map((row) => softmax(row));
    const view = {
      k,
      ids,
      logprobs: Float32Array.from(masses.flatMap((row) => row.slice(0, k).map(Math.log))),
      tail: Float32Array.from(masses, (row) => row[k] as number),
    };
    const teacher = teacherBuckets(view, V, Tensor.zeros(device, [1]));
    const given = rowsOf(await teacher.read(), k + 1);
    const bucketsOf = (row: number[], i: number) => {
      const best = [...ids.subarray(i * k, (i + 1) * k)];
      const p = softmax(row);
      const outside = p.reduce((sum, x, v) => (best.includes(v) ? sum : sum + x), 0);
      return [...best.map((v) => Math.log(p[v] as number)), Math.log(outside)];
    };
    const { values, worst } = await check(
      [n, V],
      own,
      (x) => distances([kind], studentBuckets(x, ids, k), teacher, options)[0] as Tensor,
    );
    const expected = rowsOf(own, V).map((row, i) => plain(kind, bucketsOf(row, i), given[i] as number[], options));
    expect(Math.max(...values.map((x, i) => Math.abs(x - (expected[i] as number))))).toBeLessThan(1e-12);
    expect(worst).toBeLessThan(1e-7);
  });

  it('from heads, on any path the same', async () => {
    const [n, V, d, dt] = [4, 12, 3, 2];
    const student = {
      hidden: Tensor.from(device, [n, d], normal(n * d)),
      head: Tensor.from(device, [V, d], normal(V * d)),
    };
    const teacher = {
      hidden: Tensor.from(device, [n, dt], normal(n * dt)),
      head: Tensor.from(device, [V, dt], normal(V * dt)),
    };
    const [own, given] = [linear(student.hidden, student.head), linear(teacher.hidden, teacher.head)];
    const expected = await (distances([kind], own, given, options)[0] as Tensor).read();
    const found = await (headDistances([kind], student, teacher, options)[0] as Tensor).read();
    expect(Math.max(...found.map((x, i) => Math.abs(x - (expected[i] as number))))).toBeLessThan(1e-12);
    // A view of the whole vocabulary leaves nothing out.
    const p = rowsOf(await given.read(), V).map((row) => softmax(row));
    const view = {
      k: V,
      ids: Int32Array.from({ length: n * V }, (_, i) => i % V),
      logprobs: Float32Array.from(p.flat().map(Math.log)),
      tail: new Float32Array(n),
    };
    const seen = await (viewDistances([kind], student, view, options)[0] as Tensor).read();
    expect(Math.max(...seen.map((x, i) => Math.abs(x - (expected[i] as number))))).toBeLessThan(1e-5);
  });
});

it('buckets see less than whole distributions', async () => {
  const [n, V] = [6, 10];
  const [own, given] = [Tensor.from(device, [n, V], normal(n * V, 2)), Tensor.from(device, [n, V], normal(n * V, 2))];
  const p = rowsOf(await given.read(), V).map((row) => softmax(row));
  const ids = Int32Array.from(p.flatMap((row) => [row.indexOf(Math.max(...row))]));
  const top = p.map((row) => Math.max(...row));
  const view = { k: 1, ids, logprobs: Float32Array.from(top, Math.log), tail: Float32Array.from(top, (x) => 1 - x) };
  const [whole, seen] = [
    distances(DISTANCES, own, given),
    distances(DISTANCES, studentBuckets(own, ids, 1), teacherBuckets(view, V, own)),
  ];
  for (const i of DISTANCES.keys()) {
    const [more, less] = await Promise.all([(whole[i] as Tensor).read(), (seen[i] as Tensor).read()]);
    less.forEach((x, row) => {
      expect(x).toBeLessThan((more[row] as number) + 1e-6);
      expect(x).toBeGreaterThan(0);
    });
  }
});

it.skipIf(!nativeAvailable())(
  'a large vocabulary is taken in parts that are computed again: the same losses, gradients to rounding',
  async () => {
    const native = nativeDevice();
    const [n, V, d] = [2100, 4100, 4];
    const values = (size: number, seed: string) => {
      const own = new Rng(seed);
      return Float32Array.from({ length: size }, () => own.normal());
    };
    const hidden = Tensor.from(native, [n, d], values(n * d, 'hidden'));
    const teacher = {
      hidden: Tensor.from(native, [n, d], values(n * d, 'other')),
      head: Tensor.from(native, [V, d], values(V * d, 'theirs')),
    };
    const head = Tensor.from(native, [V, d], values(V * d, 'head'));
    hidden.requiresGrad = head.requiresGrad = true;
    const run = (of: () => Tensor) =>
      scope(() => {
        const { value, gradients: found } = gradients([hidden, head], () => {
          const rows = of();
          return { rows, loss: weightedSum(rows, Tensor.filled(native, [n], 1 / n)) };
        });
        return [value.rows, ...found] as Tensor[];
      });
    const parts = run(() => headDistances(['js'], { hidden, head }, teacher, {})[0] as Tensor);
    const whole = run(() => distances(['js'], linear(hidden, head), linear(teacher.hidden, teacher.head))[0] as Tensor);
    for (const [i, tensor] of whole.entries()) {
      const [a, b] = [await (parts[i] as Tensor).read(), await tensor.read()];
      const size = Math.max(...b.slice(0, 5000).map(Math.abs));
      expect(a.every((x, at) => Math.abs(x - (b[at] as number)) <= 1e-5 * size)).toBe(true);
    }
  },
);
