/**
 * @file KL values that end a submission whatever the duel says.
 *
 * At or below 1e-6 the outputs are the teacher's own: not a student. Above the threshold the model has not learned.
 * The threshold is never below 1.25 times what the base model scores on the same prompts, so that an honest
 * fine-tune of the base cannot be refused on hard prompts. Source: subnet.md sections 5 and 21 (row 3).
 */
import type { Issue } from '@quasar/base';

export interface KlLimits {
  /** Nats; at or below is fraud. */
  fraudKl: number;
  /** Nats, for the tail-bucket mode. */
  maxKl: number;
  /** The threshold is at least this multiple of the base model's KL. */
  baseFactor: number;
}

/** @param baseKl mean KL of the base model on this round's prompts, nats */
export function checkKlLimits(kl: number, baseKl: number, limits: KlLimits): Issue | null {
  if (kl <= limits.fraudKl)
    return {
      code: 'eval.teacher_identical',
      message: `mean KL ${kl.toExponential(2)} over the round is at or below ${limits.fraudKl}: the outputs are the teacher's own`,
      hint: 'Submit a trained student, not the teacher.',
    };
  const threshold = Math.max(limits.maxKl, limits.baseFactor * baseKl);
  if (kl > threshold)
    return {
      code: 'eval.kl_above_threshold',
      message: `mean KL ${kl.toFixed(4)} exceeds ${threshold.toFixed(4)} (base model ${baseKl.toFixed(4)})`,
      hint: 'Check the checkpoint with `quasar check` before you submit.',
    };
  return null;
}
