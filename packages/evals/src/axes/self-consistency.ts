/** @file Self-consistency: the share of questions that get the same reply, token by token, in every wording, right or wrong. */
import type { AxisValue } from '../composite.ts';
import type { Answer } from './answers.ts';
import { byQuestion } from './pass-fraction.ts';

/** @param answers of an axis that asks each question in several wordings */
export function selfConsistency(answers: readonly Answer[]): AxisValue {
  const questions = byQuestion(answers).filter((wordings) => wordings.length > 1);
  const agreeing = questions.filter((wordings) => new Set(wordings.map(({ tokens }) => tokens.join(' '))).size === 1);
  return { value: questions.length === 0 ? 0 : agreeing.length / questions.length, n: questions.length };
}
