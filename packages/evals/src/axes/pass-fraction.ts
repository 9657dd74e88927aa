/** @file World axes: the share of questions answered correctly. Nothing static: every question is made from the seed. */
import type { AxisValue } from '../composite.ts';
import type { Answer } from './answers.ts';

export function passFraction(answers: readonly Answer[]): AxisValue {
  const correct = answers.filter((answer) => answer.correct).length;
  return { value: answers.length === 0 ? 0 : correct / answers.length, n: answers.length };
}

/** One value per axis that was asked about. */
export function passFractions(answers: readonly Answer[]): Record<string, AxisValue> {
  const axes = [...new Set(answers.map(({ axis }) => axis))];
  return Object.fromEntries(axes.map((axis) => [axis, passFraction(answers.filter((a) => a.axis === axis))]));
}
