/** @file What optimizers do beyond one kernel: orthogonal updates of matrices, Adam on touched rows of a table, the expert bias. In place, not differentiable. */
import { scope } from '../scope.ts';
import { ShapeError, Tensor } from '../tensor.ts';

/** Coefficients of the quintic iteration and its steps (Jordan et al. 2024, "Muon"). */
const [QUINTIC, STEPS] = [[3.4445, -4.775, 2.0315], 5];

/**
 * The nearest matrix with orthonormal rows or columns, roughly: X ← aX + b(XXᵀ)X + c(XXᵀ)²X five times from X / |X|. Singular
 * values end between 0.7 and 1.2. Overwrites x [..., R, C], each matrix by itself, and returns it.
 */
export function orthogonalize(x: Tensor): Tensor {
  const [R, C] = [x.dim(-2), x.dim(-1)];
  const batch = R * C === 0 ? 0 : x.size / (R * C);
  scope(() => {
    const work = Tensor.empty(x.device, [batch, R * C + 4 * Math.min(R, C) ** 2]);
    x.device.run('orthogonalize', [x.buffer, work.buffer], [batch, R, C, STEPS, ...QUINTIC]);
  });
  return x;
}

export interface SparseAdamSettings {
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  /** Updates so far, this one included: the same for all rows. */
  step: number;
  /** Factor on the gradients (clipping). */
  scale?: number;
}

/**
 * Adam without decay on the rows of table [..., V, D] that `ids` [M] (int) name; m and v are its moments, of its shape. Gradients [M, D] of
 * rows that come several times add up first, in order. Other rows stay as they are (architecture §3.11). Ids must lie in [0, V).
 */
export function sparseAdam(
  table: Tensor,
  m: Tensor,
  v: Tensor,
  gradient: Tensor,
  ids: Tensor,
  settings: SparseAdamSettings,
): void {
  const [V, D] = [table.rows, table.dim(-1)];
  if (m.size !== table.size || v.size !== table.size || gradient.size !== ids.size * D)
    throw new ShapeError(`sparseAdam: table [${table.shape}], gradient [${gradient.shape}] at [${ids.shape}] rows`);
  const { lr, beta1, beta2, eps, step, scale = 1 } = settings;
  const corrections = [1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step)];
  table.device.run(
    'sparse_adam',
    [table, m, v, gradient, ids].map((t) => t.buffer),
    [ids.size, D, V, lr, beta1, beta2, eps, ...corrections, scale],
  );
}

export interface SmebuSettings {
  kappa: number;
  lambda: number;
  beta: number;
}

/**
 * SMEBU: soft-clamped momentum updates of the expert bias, once per optimizer step, outside the gradient (architecture
 * §3.9.3, Trinity report). In place: bias and momentum [layers, E] and the running worst overload [layers].
 * @param counts tokens per expert [E] of each (loop, layer), layers innermost; the loops of a layer add up
 */
export function smebu(
  bias: Tensor,
  momentum: Tensor,
  worst: Tensor,
  counts: readonly Tensor[],
  { lambda, kappa, beta }: SmebuSettings,
): void {
  const layers = worst.size;
  const E = bias.size / layers;
  const loops = counts.length / layers;
  if (
    momentum.size !== bias.size ||
    !Number.isInteger(E) ||
    !Number.isInteger(loops) ||
    counts.some((c) => c.size !== E)
  )
    throw new ShapeError(`smebu: bias [${bias.shape}], worst [${worst.shape}], ${counts.length} counts do not fit`);
  for (let layer = 0; layer < layers; layer++) {
    const own = counts.filter((_, i) => i % layers === layer);
    const buffers = [bias, momentum, worst, ...own].map((t) => t.buffer);
    bias.device.run('smebu', buffers, [layer, E, loops, lambda, kappa, beta]);
  }
}
