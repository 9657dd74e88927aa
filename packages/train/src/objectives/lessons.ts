/** @file Which predictions of a block are learned from a teacher. */
import type { TopK } from '@quasar/infer';
import type { Batch } from '../data/batch.ts';
import type { Rows } from './rows.ts';

export interface Lessons extends Rows {
  /** Of each counted row: whether it is one of these. */
  isLearned: Uint8Array;
  /** Of what came with the documents, row by row; empty where a teacher runs. */
  view: TopK;
}

/** @param isAsked a teacher ran over the block; else the views that came with it are what there is */
export function lessonsOf(batch: Batch, counted: Rows, isAsked: boolean): Lessons {
  const { distils, teacher } = batch;
  const viewOf = new Map<number, number>();
  for (const [row, at] of teacher?.index.entries() ?? []) viewOf.set(at, row);
  const isLearned = Uint8Array.from(counted.index, (at) => Number(distils?.[at] !== 0 && (isAsked || viewOf.has(at))));
  const chosen = <A extends Int32Array | Float32Array>(values: A) => values.filter((_, i) => isLearned[i]) as A;
  const index = chosen(counted.index);
  const k = isAsked || !teacher ? 0 : teacher.top.k;
  const view: TopK = {
    k,
    ids: new Int32Array(index.length * k),
    logprobs: new Float32Array(index.length * k),
    tail: new Float32Array(k > 0 ? index.length : 0),
  };
  if (teacher && k > 0)
    index.forEach((at, i) => {
      const row = viewOf.get(at) as number;
      view.ids.set(teacher.top.ids.subarray(row * k, (row + 1) * k), i * k);
      view.logprobs.set(teacher.top.logprobs.subarray(row * k, (row + 1) * k), i * k);
      view.tail[i] = teacher.top.tail[row] as number;
    });
  return { index, weights: chosen(counted.weights), isLearned, view };
}
