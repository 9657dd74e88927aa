/**
 * @file The share of questions answered correctly. Nothing static: every question is made from the seed. A question that was
 * asked in several wordings counts once, and only when every one of them was answered correctly.
 */
import type { AxisValue } from '../composite.ts';
import type { Answer } from './answers.ts';

/** @param answers of one axis */
export function passFraction(answers: readonly Answer[]): AxisValue {
  const questions = byQuestion(answers);
  const correct = questions.filter((wordings) => wordings.every((answer) => answer.correct)).length;
  return { value: questions.length === 0 ? 0 : correct / questions.length, n: questions.length };
}

/** The answers of one axis, the wordings of a question together. */
export function byQuestion(answers: readonly Answer[]): Answer[][] {
  const questions = new Map<number, Answer[]>();
  for (const answer of answers) questions.set(answer.question, [...(questions.get(answer.question) ?? []), answer]);
  return [...questions.values()];
}
