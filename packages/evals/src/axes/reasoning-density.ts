/**
 * @file Reasoning density: correct answers, discounted when they take more tokens than needed.
 *
 *     mean( pass * bonus ),  bonus = 1 if tokens <= target else target / tokens,  target = max(8, 2 * answer tokens)
 */
import type { AxisValue } from '../composite.ts';
import type { Answer } from './answers.ts';

export function reasoningDensity(answers: readonly Answer[]): AxisValue {
  let sum = 0;
  for (const { correct, tokens, answerTokens } of answers) {
    if (correct) sum += Math.min(1, Math.max(8, 2 * answerTokens) / Math.max(tokens.length, 1));
  }
  return { value: answers.length === 0 ? 0 : sum / answers.length, n: answers.length };
}
