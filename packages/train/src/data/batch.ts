/** @file A training batch: rows of packed documents, and how much each prediction counts. */
import { QuasarError } from '@quasar/base';

/** Row-major [B, T]. Prediction t is of `targets[t]` after `tokens[0..t]` of the same segment. */
export interface Batch {
  B: number;
  T: number;
  tokens: Int32Array;
  /** Next token of the document, or -1 at its end. At the end of a row it may be one that no longer fits. */
  targets: Int32Array;
  /** Weight of each prediction in the loss; not negative. */
  weights: Float32Array;
  /** Position in the document; 0 starts one. */
  positions: Int32Array;
}

/** One document: `weights[t]` is the weight of predicting `ids[t]`. */
export interface Document {
  ids: Int32Array;
  weights: Float32Array;
}

/**
 * Fills B rows of T with documents in order; a document that does not fit is cut at the row's end.
 * @throws QuasarError data.empty_document: with nothing but those a row would never fill
 */
export function pack(next: () => Document, B: number, T: number): Batch {
  const batch: Batch = {
    B,
    T,
    tokens: new Int32Array(B * T),
    targets: new Int32Array(B * T).fill(-1),
    weights: new Float32Array(B * T),
    positions: new Int32Array(B * T),
  };
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < T; ) {
      const { ids, weights } = next();
      if (ids.length === 0) throw new QuasarError('data.empty_document', 'pack: a document has no tokens');
      const length = Math.min(ids.length, T - t);
      for (let i = 0; i < length; i++) {
        const at = b * T + t + i;
        batch.tokens[at] = ids[i] as number;
        batch.positions[at] = i;
        if (i + 1 < ids.length) {
          batch.targets[at] = ids[i + 1] as number;
          batch.weights[at] = weights[i + 1] as number;
        }
      }
      t += length;
    }
  }
  return batch;
}
