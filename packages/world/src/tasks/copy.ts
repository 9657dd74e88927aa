/** @file Copying a list of words (levels 0 to 2) or of made-up words (level 3), exactly as it stands. */
import type { Rng } from '@quasar/base';
import { checkWords } from '../check.ts';
import type { Task } from '../types.ts';
import { phrase, WORDS } from '../words.ts';

const LENGTHS = [
  [2, 4],
  [4, 6],
  [6, 9],
  [3, 5],
] as const;

/** Two to three syllables of consonant and vowel: no word that the tokenizer has met. */
export function madeUpWord(rng: Rng): string {
  let word = '';
  for (let left = rng.int(2, 3); left > 0; left--) word += rng.pick([...'bdfgklmnprstvz']) + rng.pick([...'aeiou']);
  return word;
}

export const copy: Task = {
  name: 'copy',
  levels: 4,
  generate(rng, level) {
    const [low, high] = LENGTHS[level]!;
    const words = Array.from({ length: rng.int(low, high) }, () => (level === 3 ? madeUpWord(rng) : rng.pick(WORDS)));
    const list = words.join(' ');
    const question = phrase(rng, level, ['Copy: #', 'Repeat: #', 'Write this again: #', 'Say exactly this: #']);
    return {
      task: 'copy',
      level,
      content: list,
      messages: [{ role: 'user', content: question.replace('#', list) }],
      answer: list,
    };
  },
  check: (item, reply) => checkWords([item.answer], reply),
};
