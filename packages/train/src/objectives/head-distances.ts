/** @file Distances between student and teacher from hidden rows and heads: what of them needs whole rows of logits, in parts. */
import type { TopK } from '@quasar/infer';
import {
  checkpoint,
  concat,
  type HeadOperands,
  headDivergence,
  headLoss,
  headTopK,
  linear,
  recording,
  scope,
  slice,
  Tensor,
} from '@quasar/tensor';
import { studentBuckets, teacherBuckets } from './buckets.ts';
import { type Distance, type DistanceOptions, distances } from './divergences.ts';

/** Up to this vocabulary logits are kept for the backward pass, as by `headLoss`; beyond it parts are computed again there. */
const KEPT = 4096;
/** Logits of a part. */
const PART_LOGITS = 2 ** 23;

/**
 * Each distance of `kinds` per row, [n], between whole distributions.
 * @param topK of the forward distance at temperature 1: only the teacher's best so many and the mass of the rest
 */
export function headDistances(
  kinds: readonly Distance[],
  student: HeadOperands,
  teacher: HeadOperands,
  options: DistanceOptions & { topK?: number | undefined },
): Tensor[] {
  const { temperature, topK } = options;
  const others = kinds.filter((kind) => kind !== 'forward' && kind !== 'reverse');
  const mixed = inParts(others.length, student, (rows, from, to) =>
    distances(others, linear(rows, student.head), linear(slice(teacher.hidden, 0, from, to), teacher.head), options),
  );
  return kinds.map((kind) => {
    if (kind === 'forward' && topK !== undefined) {
      const view = headTopK(teacher.hidden, teacher.head, topK);
      return headLoss(student.hidden, student.head, undefined, view).kl;
    }
    if (kind === 'forward' || kind === 'reverse')
      return headDivergence(student, teacher, { direction: kind, temperature });
    return mixed[others.indexOf(kind)] as Tensor;
  });
}

/** The same from what a teacher said of each row: between buckets. */
export function viewDistances(
  kinds: readonly Distance[],
  student: HeadOperands,
  view: TopK,
  options: DistanceOptions,
): Tensor[] {
  const { temperature = 1 } = options;
  const { k, tail } = view;
  const { device } = student.hidden;
  if (temperature === 1 && kinds.every((kind) => kind === 'forward')) {
    const teacher = {
      ids: Tensor.from(device, [tail.length, k], view.ids, 'int'),
      logprobs: Tensor.from(device, [tail.length, k], view.logprobs),
      tail: Tensor.from(device, [tail.length], tail),
    };
    return kinds.map(() => headLoss(student.hidden, student.head, undefined, teacher).kl);
  }
  const V = student.head.dim(0);
  return inParts(kinds.length, student, (rows, from, to) => {
    const own = studentBuckets(linear(rows, student.head), view.ids.subarray(from * k, to * k), k);
    const part = { ...view, logprobs: view.logprobs.subarray(from * k, to * k), tail: tail.subarray(from, to) };
    return distances(kinds, own, teacherBuckets(part, V, own), options);
  });
}

/** `count` values per row, part by part of the rows, so that no more than one part's logits exist at a time. */
function inParts(
  count: number,
  { hidden, head }: HeadOperands,
  body: (rows: Tensor, from: number, to: number) => Tensor[],
): Tensor[] {
  if (count === 0) return [];
  const [n, V] = [hidden.rows, head.dim(0)];
  const size = Math.max(1, Math.floor(PART_LOGITS / V));
  const parts: Tensor[][] = [];
  for (let from = 0; from < n; from += size) {
    const to = Math.min(n, from + size);
    const run = () => body(slice(hidden, 0, from, to), from, to);
    if (V <= KEPT) parts.push(run());
    else parts.push(recording([hidden, head]) ? checkpoint(run) : scope(run));
  }
  if (parts.length === 1) return parts[0] as Tensor[];
  return Array.from({ length: count }, (_, i) =>
    concat(
      parts.map((part) => part[i] as Tensor),
      0,
    ),
  );
}
