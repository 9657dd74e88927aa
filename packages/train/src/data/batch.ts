/** @file A training batch: rows of packed documents, and how much each prediction counts. */
import { QuasarError } from '@quasar/base';
import type { TopK } from '@quasar/infer';

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
  /** Per prediction: 0 where no teacher is to be asked (`Document.distils`); absent: nowhere. */
  distils?: Uint8Array | undefined;
  /** The student wrote the tokens: they are no targets, and what a teacher thinks of them is what is learned. */
  isOwn?: boolean | undefined;
  /** Views that came with the documents: row i of `top` is of the prediction at `index[i]` = b·T + t. */
  teacher?: { index: Int32Array; top: TopK } | undefined;
}

/** One document: `weights[t]` is the weight of predicting `ids[t]`. */
export interface Document {
  ids: Int32Array;
  weights: Float32Array;
  /** False: text of which a teacher knows nothing worth learning; distillation learns it by cross-entropy alone. Default true. */
  distils?: boolean | undefined;
  /** What a teacher thought: row i of `top` is its view of the prediction of `ids[from + i]`. */
  teacher?: { from: number; top: TopK } | undefined;
}

/**
 * Fills B rows of T with documents in order; a document that does not fit is cut at the row's end.
 * @throws QuasarError data.empty_document: with nothing but those a row would never fill
 */
export function pack(reader: { next(): Document }, B: number, T: number): Batch {
  const batch: Batch = {
    B,
    T,
    tokens: new Int32Array(B * T),
    targets: new Int32Array(B * T).fill(-1),
    weights: new Float32Array(B * T),
    positions: new Int32Array(B * T),
  };
  const views: View[] = [];
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < T; ) {
      const { ids, weights, distils = true, teacher } = reader.next();
      if (ids.length === 0) throw new QuasarError('data.empty_document', 'pack: a document has no tokens');
      const length = Math.min(ids.length, T - t);
      const start = b * T + t;
      if (!distils) {
        batch.distils ??= new Uint8Array(B * T).fill(1);
        batch.distils.fill(0, start, start + length);
      }
      for (let i = 0; i < length; i++) {
        const at = start + i;
        batch.tokens[at] = ids[i] as number;
        batch.positions[at] = i;
        if (i + 1 < ids.length) {
          batch.targets[at] = ids[i + 1] as number;
          batch.weights[at] = weights[i + 1] as number;
          const row = teacher ? i + 1 - teacher.from : -1;
          if (teacher && row >= 0 && row < teacher.top.tail.length) views.push({ at, top: teacher.top, row });
        }
      }
      t += length;
    }
  }
  if (views.length > 0) batch.teacher = gathered(views);
  return batch;
}

/** The weight of all predictions of a batch. */
export function weightOf({ weights }: Batch): number {
  return weights.reduce((sum, weight) => sum + weight, 0);
}

/** Columns [from, from + width) of every row, as a batch. */
export function columns(batch: Batch, from: number, width: number): Batch {
  const { B, T } = batch;
  const cut = <A extends Int32Array | Float32Array | Uint8Array>(values: A): A => {
    const out = values.slice(0, B * width) as A;
    for (let b = 0; b < B; b++) out.set(values.subarray(b * T + from, b * T + from + width), b * width);
    return out;
  };
  const block: Batch = {
    B,
    T: width,
    tokens: cut(batch.tokens),
    targets: cut(batch.targets),
    weights: cut(batch.weights),
    positions: cut(batch.positions),
    ...(batch.distils ? { distils: cut(batch.distils) } : {}),
    ...(batch.isOwn ? { isOwn: true } : {}),
  };
  if (batch.teacher) {
    const { index, top } = batch.teacher;
    const views: View[] = [];
    index.forEach((at, row) => {
      const [b, t] = [Math.floor(at / T), at % T];
      if (t >= from && t < from + width) views.push({ at: b * width + t - from, top, row });
    });
    if (views.length > 0) block.teacher = gathered(views);
  }
  return block;
}

/** Row `row` of a teacher's view, of the prediction at `at`. */
interface View {
  at: number;
  top: TopK;
  row: number;
}

/** @throws QuasarError data.mixed_views: rows of one batch have one k */
function gathered(views: readonly View[]): { index: Int32Array; top: TopK } {
  const k = (views[0] as View).top.k;
  const N = views.length;
  const top = { k, ids: new Int32Array(N * k), logprobs: new Float32Array(N * k), tail: new Float32Array(N) };
  views.forEach(({ top: from, row }, i) => {
    if (from.k !== k) throw new QuasarError('data.mixed_views', `pack: views of the top ${k} and of the top ${from.k}`);
    top.ids.set(from.ids.subarray(row * k, (row + 1) * k), i * k);
    top.logprobs.set(from.logprobs.subarray(row * k, (row + 1) * k), i * k);
    top.tail[i] = from.tail[row] as number;
  });
  return { index: Int32Array.from(views, ({ at }) => at), top };
}
