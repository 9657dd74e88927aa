/**
 * @file How far a student's distribution q is from a teacher's p, row by row of logits [n, W], in nats (architecture §6.1).
 * Both soften by a temperature τ, and every distance is multiplied by τ², so that gradients keep their size.
 *   forward       KL(p ‖ q)                            reverse       KL(q ‖ p)
 *   skew          KL(p ‖ αp + (1−α)q)                  skewReverse   KL(q ‖ αq + (1−α)p)        Ko et al. 2024 (DistiLLM)
 *   js            β KL(p ‖ m) + (1−β) KL(q ‖ m), m = βp + (1−β)q                      Agarwal et al. 2023, with p and q so
 */
import {
  add,
  axpby,
  crossEntropy,
  divergence,
  linear,
  noGrad,
  reshape,
  scale,
  slice,
  softplus,
  Tensor,
} from '@quasar/tensor';

export const DISTANCES = ['forward', 'reverse', 'skew', 'skewReverse', 'js'] as const;
export type Distance = (typeof DISTANCES)[number];

export interface DistanceOptions {
  /** τ. Default 1. */
  temperature?: number | undefined;
  /** Of skewed distances: the share of the one whose expectation is taken. Default 0.1. */
  alpha?: number | undefined;
  /** Of js: the teacher's share. Default 0.5. */
  beta?: number | undefined;
}

/** Each distance of `kinds` per row, [n]. Gradients flow to the student alone. */
export function distances(
  kinds: readonly Distance[],
  student: Tensor,
  teacher: Tensor,
  { temperature = 1, alpha = 0.1, beta = 0.5 }: DistanceOptions = {},
): Tensor[] {
  const mixes = kinds.some((kind) => kind !== 'forward' && kind !== 'reverse');
  const soft = (logits: Tensor) => logProbabilities(temperature === 1 ? logits : scale(logits, 1 / temperature));
  const q = mixes ? soft(student) : null;
  const p = mixes ? noGrad(() => soft(teacher)) : null;
  return kinds.map((kind) => {
    if (kind === 'forward' || kind === 'reverse') return divergence(student, teacher, { direction: kind, temperature });
    const distance = mixed(kind, q as Tensor, p as Tensor, kind === 'js' ? beta : alpha);
    return temperature === 1 ? distance : scale(distance, temperature ** 2);
  });
}

/** Of log-probabilities q and p. */
function mixed(kind: 'skew' | 'skewReverse' | 'js', q: Tensor, p: Tensor, share: number): Tensor {
  if (kind === 'skew') return toMixture(p, mixture(q, p, share));
  if (kind === 'skewReverse') return fromStudent(q, mixture(q, p, 1 - share));
  const m = mixture(q, p, share);
  return axpby(share, toMixture(p, m), 1 - share, fromStudent(q, m));
}

/** KL(p ‖ m), where m depends on the student. */
function toMixture(p: Tensor, m: Tensor): Tensor {
  return divergence(m, p, { direction: 'forward' });
}

/**
 * KL(q ‖ m), where both depend on the student. `divergence` differentiates in one side: the first term has the value and the
 * gradient through q, the other two, which cancel, the gradient through m.
 */
function fromStudent(q: Tensor, m: Tensor): Tensor {
  const throughM = divergence(m, q, { direction: 'forward' });
  const constant = noGrad(() => scale(throughM, 1));
  return add(divergence(q, m, { direction: 'reverse' }), axpby(1, throughM, -1, constant));
}

/** log(s·p + (1−s)·q) of log-probabilities: log q + log(1−s) + softplus(log p − log q + log s/(1−s)). */
function mixture(q: Tensor, p: Tensor, s: number): Tensor {
  const odds = scale(axpby(1, p, -1, q), 1, Math.log(s / (1 - s)));
  return scale(add(q, softplus(odds)), 1, Math.log(1 - s));
}

/** Logits less the logarithm of the sum of their exponentials. */
function logProbabilities(logits: Tensor): Tensor {
  const total = logSumExp(logits); // [n]
  const every = linear(reshape(total, [total.size, 1]), Tensor.filled(logits.device, [logits.dim(-1), 1], 1)); // [n, W]
  return axpby(1, logits, -1, every);
}

/** Per row, [n]. */
export function logSumExp(logits: Tensor): Tensor {
  const n = logits.rows;
  const first = Tensor.from(logits.device, [n], new Int32Array(n), 'int');
  return add(crossEntropy(logits, first), reshape(slice(logits, 1, 0, 1), [n]));
}
