/**
 * @file A teacher that is known by its k best tokens and the mass of all others: k + 1 buckets. Any distance of two
 * distributions makes sense between the masses of buckets: it is 0 where they agree, and by the data processing inequality
 * never more than between the whole distributions. A temperature softens the masses, which is not what softened logits would
 * give: those of the tail are not known.
 */
import type { TopK } from '@quasar/infer';
import { axpby, concat, gatherRows, klTopK, reshape, Tensor } from '@quasar/tensor';
import { logSumExp } from './divergences.ts';

/** A tail lighter than this says nothing that a float32 trace can carry. */
const MIN_TAIL = 1e-7;

/** Log-masses of the teacher's buckets, [n, k + 1]; without the last one where the k are the whole vocabulary. */
export function teacherBuckets({ k, logprobs, tail }: TopK, vocabulary: number, { device }: Tensor): Tensor {
  const n = tail.length;
  const width = k < vocabulary ? k + 1 : k;
  const values = new Float32Array(n * width);
  for (let i = 0; i < n; i++) {
    values.set(logprobs.subarray(i * k, (i + 1) * k), i * width);
    if (width > k) values[i * width + k] = Math.log(Math.max(tail[i] as number, MIN_TAIL));
  }
  return Tensor.from(device, [n, width], values);
}

/** The same of a student's logits [n, V], less one number per row. @param ids the teacher's, [n · k] */
export function studentBuckets(logits: Tensor, ids: Int32Array, k: number): Tensor {
  const { device } = logits;
  const [n, V] = [logits.rows, logits.dim(-1)];
  const index = ids.map((id, i) => Math.floor(i / k) * V + id);
  const one = reshape(logits, [n * V, 1]);
  const top = reshape(gatherRows(one, Tensor.from(device, [n * k], index, 'int')), [n, k]);
  if (k >= V) return top;
  // −log of the student's tail mass: the divergence from a teacher who believes in the tail alone.
  const away = klTopK(logits, {
    ids: Tensor.from(device, [n, k], ids, 'int'),
    logprobs: Tensor.filled(device, [n, k], NOTHING),
    tail: Tensor.filled(device, [n], 1),
  });
  const tail = axpby(1, logSumExp(logits), -1, away);
  return concat([top, reshape(tail, [n, 1])], 1);
}

/** The logarithm of a probability that adds nothing to a sum of floats. */
const NOTHING = -100;
