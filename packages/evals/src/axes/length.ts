/** @file Length: min(1, 2 / ratio), ratio = the model's tokens over the teacher's. Up to twice as long costs nothing. */
import type { AxisValue } from '../composite.ts';
import type { Answer } from './answers.ts';

export function meanTokens(answers: readonly Answer[]): number {
  return answers.length === 0 ? 0 : answers.reduce((sum, { tokens }) => sum + tokens.length, 0) / answers.length;
}

/** @param teacherMeanTokens mean reply length of the teacher to the same questions */
export function length(answers: readonly Answer[], teacherMeanTokens: number): AxisValue {
  const ratio = meanTokens(answers) / Math.max(teacherMeanTokens, 1);
  return { value: ratio > 0 ? Math.min(1, 2 / ratio) : 0, n: answers.length };
}
