/** @file Ops over the vocabulary: embedding rows, cross-entropy, KL to a teacher's top k plus tail bucket, top k. */
import { record, recording } from '../autograd.ts';
import { typeCode } from '../kernels.ts';
import { ShapeError, Tensor } from '../tensor.ts';

/**
 * Rows of table [..., V, D], of any storage type, at ids (int): [...ids.shape, D]. Leading axes count as tables one after the
 * other. Ids must lie in [0, rows of the table); the caller checks them.
 * @param rowGradients the gradient is that of the chosen rows (`Gradients.rowGradients`), for tables too large for one of
 * their own size
 */
export function embedding(table: Tensor, ids: Tensor, { rowGradients = false } = {}): Tensor {
  const [V, D] = [table.rows, table.dim(-1)];
  const out = Tensor.empty(table.device, [...ids.shape, D]);
  table.device.run('embedding', [out.buffer, table.buffer, ids.buffer], [ids.size, D, V, typeCode(table.dtype)]);
  if (recording([table])) {
    record([table], [out], ([d]) => {
      if (rowGradients) return [{ ids, rows: d as Tensor }];
      const dTable = Tensor.empty(table.device, table.shape);
      table.device.run('embedding_backward', [dTable.buffer, (d as Tensor).buffer, ids.buffer], [ids.size, D, V]);
      return [dTable];
    });
  }
  return out;
}

/** Rows of x [N, D] by index (int): [M, D]; an index may repeat. */
export function gatherRows(x: Tensor, rows: Tensor): Tensor {
  const D = x.dim(-1);
  const N = x.rows;
  const out = Tensor.empty(x.device, [rows.size, D]);
  x.device.run('gather_rows', [out.buffer, x.buffer, rows.buffer], [rows.size, D]);
  if (recording([x])) {
    record([x], [out], ([d]) => {
      const dx = Tensor.empty(x.device, x.shape);
      x.device.run('scatter_rows', [dx.buffer, (d as Tensor).buffer, rows.buffer], [rows.size, D, N]);
      return [dx];
    });
  }
  return out;
}

/** −log softmax(logits)[target] per row: logits [M, V], targets [M] int -> [M]. A negative target gives 0 and no gradient. */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  const V = logits.dim(-1);
  const M = logits.rows;
  if (targets.size !== M) throw new ShapeError(`crossEntropy: ${targets.size} targets for logits [${logits.shape}]`);
  const [loss, lse] = [Tensor.empty(logits.device, [M]), Tensor.empty(logits.device, [M])];
  logits.device.run(
    'cross_entropy',
    [loss, lse, logits, targets].map((t) => t.buffer),
    [M, V],
  );
  if (recording([logits])) {
    record([logits], [loss], ([d]) => {
      const dLogits = Tensor.empty(logits.device, logits.shape);
      const buffers = [dLogits, logits, lse, targets, d as Tensor].map((t) => t.buffer);
      logits.device.run('cross_entropy_backward', buffers, [M, V]);
      return [dLogits];
    });
  }
  return loss;
}

/** A teacher's view of each row: its K most likely ids, their log-probabilities, and the mass outside them. */
export interface TopK {
  /** [M, K] int */
  ids: Tensor;
  /** [M, K] */
  logprobs: Tensor;
  /** [M] */
  tail: Tensor;
}

/**
 * KL(teacher ‖ softmax(logits)) per row with everything outside the top K as one bucket; logits [M, V] -> [M].
 * Never exceeds the full KL; equal to it when the tails are proportional.
 */
export function klTopK(logits: Tensor, teacher: TopK): Tensor {
  const V = logits.dim(-1);
  const M = logits.rows;
  const K = teacher.ids.dim(-1);
  if (teacher.ids.size !== M * K || teacher.tail.size !== M)
    throw new ShapeError(`klTopK: ids [${teacher.ids.shape}] for logits [${logits.shape}]`);
  if (K > 1024) throw new ShapeError(`klTopK: at most 1024 ids per row, got ${K}`);
  const [loss, lse, lseTail] = [0, 1, 2].map(() => Tensor.empty(logits.device, [M])) as [Tensor, Tensor, Tensor];
  const given = [teacher.ids, teacher.logprobs, teacher.tail];
  logits.device.run(
    'kl_top_k',
    [loss, lse, lseTail, logits, ...given].map((t) => t.buffer),
    [M, V, K],
  );
  if (recording([logits])) {
    record([logits], [loss], ([d]) => {
      const dLogits = Tensor.empty(logits.device, logits.shape);
      const buffers = [dLogits, logits, lse, lseTail, ...given, d as Tensor].map((t) => t.buffer);
      logits.device.run('kl_top_k_backward', buffers, [M, V, K]);
      return [dLogits];
    });
  }
  return loss;
}

export interface DivergenceOptions {
  /** `forward`: KL(teacher ‖ student); `reverse`: KL(student ‖ teacher). */
  direction: 'forward' | 'reverse';
  /** Both sides soften by it, and the loss is multiplied by its square. Default 1. */
  temperature?: number | undefined;
  /** [M], constants; a row of weight 0 is not looked at. Default: all 1. */
  weights?: Tensor | undefined;
}

/**
 * Weighted KL between whole distributions, per row: logits [M, V] of student and teacher -> [M]. Architecture §6.1. While
 * recording, the gradient [M, V] is made in the same reading of the logits. None flows to the teacher or the weights.
 */
export function divergence(logits: Tensor, teacher: Tensor, options: DivergenceOptions): Tensor {
  const V = logits.dim(-1);
  const M = logits.rows;
  const { direction, temperature = 1, weights } = options;
  if (teacher.size !== logits.size || teacher.dim(-1) !== V)
    throw new ShapeError(`divergence: teacher [${teacher.shape}] for logits [${logits.shape}]`);
  if (weights && weights.size !== M) throw new ShapeError(`divergence: weights [${weights.shape}] for ${M} rows`);
  const loss = Tensor.empty(logits.device, [M]);
  const gradient = recording([logits]) ? Tensor.empty(logits.device, logits.shape) : null;
  logits.device.run(
    'divergence',
    [loss, gradient, logits, teacher, weights].map((t) => t?.buffer ?? null),
    [M, V, Number(direction === 'reverse'), temperature],
  );
  if (gradient) {
    record([logits], [loss], ([d]) => {
      logits.device.run('scale_rows', [gradient.buffer, (d as Tensor).buffer], [M, V]);
      return [gradient];
    });
  }
  return loss;
}

/** The K largest log-probabilities of each row of logits [M, V], best first, and the mass outside them. Not differentiable. */
export function topK(logits: Tensor, K: number): TopK {
  const V = logits.dim(-1);
  const M = logits.rows;
  if (K < 1 || K > V) throw new ShapeError(`topK: ${K} of ${V}`);
  const ids = Tensor.empty(logits.device, [M, K], 'int');
  const logprobs = Tensor.empty(logits.device, [M, K]);
  const tail = Tensor.empty(logits.device, [M]);
  logits.device.run(
    'top_k',
    [ids, logprobs, tail, logits].map((t) => t.buffer),
    [M, V, K],
  );
  return { ids, logprobs, tail };
}
