/**
 * @file Degeneracy: does the model end its turns, avoid loops, and say different things to different questions?
 *
 *     0.4 terminates + 0.4 (no loop) + 0.2 diversity
 *
 * A loop is a sequence of up to eight tokens repeated at least four times in a row. Diversity is one minus a
 * self-BLEU: the mean share of a reply's bigrams that occur in another reply too (precision only, no brevity term).
 */
import type { AxisValue } from '../composite.ts';
import type { Answer } from './answers.ts';

const MAX_PERIOD = 8;
const MIN_REPEATS = 4;

export function degeneracy(answers: readonly Answer[]): AxisValue {
  const n = answers.length;
  if (n === 0) return { value: 0, n };
  const terminates = answers.filter(({ finished }) => finished).length / n;
  const sound = answers.filter(({ tokens }) => tokens.length > 0 && !hasLoop(tokens)).length / n;
  return { value: 0.4 * terminates + 0.4 * sound + 0.2 * diversity(answers.map(({ tokens }) => tokens)), n };
}

export function hasLoop(tokens: ArrayLike<number>): boolean {
  for (let period = 1; period <= MAX_PERIOD; period++) {
    let matching = 0;
    for (let i = period; i < tokens.length; i++) {
      matching = tokens[i] === tokens[i - period] ? matching + 1 : 0;
      if (matching >= period * (MIN_REPEATS - 1)) return true;
    }
  }
  return false;
}

export function diversity(replies: readonly ArrayLike<number>[]): number {
  const grams = replies.map(bigrams);
  const owners = new Map<string, number>();
  for (const set of grams) for (const gram of set) owners.set(gram, (owners.get(gram) ?? 0) + 1);
  let shared = 0;
  for (const set of grams) {
    const common = [...set].filter((gram) => owners.get(gram)! > 1).length;
    shared += set.size === 0 ? 1 : common / set.size;
  }
  return replies.length === 0 ? 0 : 1 - shared / replies.length;
}

/** Pairs of neighbours; a reply of one token is its own gram. */
function bigrams(tokens: ArrayLike<number>): Set<string> {
  const grams = new Set<string>();
  if (tokens.length === 1) grams.add(`${tokens[0]}`);
  for (let i = 1; i < tokens.length; i++) grams.add(`${tokens[i - 1]},${tokens[i]}`);
  return grams;
}
