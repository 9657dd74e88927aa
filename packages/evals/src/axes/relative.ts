/**
 * @file Relative axes: measured against the king or the best of the round, so they only mean something within it.
 *
 *     kl            = clamp(king_kl / kl, 0, 1)
 *     on_policy_rkl = best_rkl_in_round / rkl
 */
import type { AxisValue } from '../composite.ts';

/** One model's raw divergences, nats. */
export interface Divergences {
  kl: number;
  prompts: number;
  rkl: number;
  rklPrompts: number;
}

export function relativeAxes(
  own: Divergences,
  round: { kingKl: number; bestRkl: number },
): { kl: AxisValue; on_policy_rkl: AxisValue } {
  return {
    kl: { value: ratio(round.kingKl, own.kl), n: own.prompts },
    on_policy_rkl: { value: own.rklPrompts > 0 ? ratio(round.bestRkl, own.rkl) : 0, n: own.rklPrompts },
  };
}

/** 0 / 0 is 1: both are perfect. */
function ratio(reference: number, own: number): number {
  if (own <= 0) return 1;
  return Math.min(1, Math.max(0, reference / own));
}
