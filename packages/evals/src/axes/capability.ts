/**
 * @file Capability: how much is right at all, half on its own scale and half against the teacher.
 *
 *     0.5 f + 0.5 min(1, f / max(f_teacher, 0.5))
 */
import type { AxisValue } from '../composite.ts';
import type { Answer } from './answers.ts';
import { passFraction } from './pass-fraction.ts';

/** @param teacherFraction the teacher's share of correct answers on the same questions */
export function capability(answers: readonly Answer[], teacherFraction: number): AxisValue {
  const { value: fraction, n } = passFraction(answers);
  return { value: 0.5 * fraction + 0.5 * Math.min(1, fraction / Math.max(teacherFraction, 0.5)), n };
}
