/**
 * @file Reasoning density: correct answers, discounted when they take more tokens than their axis needs.
 *
 *     mean( pass * bonus ),  bonus = 1 if tokens <= target else target / tokens
 *
 * Targets per axis come from the rules; axes without one do not count.
 */
import type { AxisValue } from '../composite.ts';
import type { Answer } from './answers.ts';

export function reasoningDensity(answers: readonly Answer[]): AxisValue {
  const counted = answers.filter(({ targetTokens }) => targetTokens !== null);
  const sum = counted.reduce(
    (total, { correct, tokens, targetTokens }) =>
      total + (correct ? Math.min(1, targetTokens! / Math.max(tokens.length, 1)) : 0),
    0,
  );
  return { value: counted.length === 0 ? 0 : sum / counted.length, n: counted.length };
}
