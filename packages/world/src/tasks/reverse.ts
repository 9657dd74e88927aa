/** @file Reversing the order of words (levels 0 to 2) or the letters of one word (level 3). */
import { checkWords } from '../check.ts';
import type { Task } from '../types.ts';
import { phrase, WORDS } from '../words.ts';
import { madeUpWord } from './copy.ts';

const LENGTHS = [
  [2, 3],
  [3, 5],
  [5, 7],
] as const;

export const reverse: Task = {
  name: 'reverse',
  levels: 4,
  generate(rng, level) {
    const spelled = level === 3;
    const [low, high] = spelled ? [1, 1] : LENGTHS[level]!;
    const words = spelled ? [...madeUpWord(rng)] : rng.sample(WORDS, rng.int(low, high));
    const joint = spelled ? '' : ' ';
    const question = spelled
      ? phrase(rng, level, ['Reverse the letters: #', 'Spell backwards: #', 'Write the letters from last to first: #'])
      : phrase(rng, level, ['Reverse: #', 'Backwards: #', 'From last to first: #', 'Turn the order around: #']);
    const list = words.join(joint);
    return {
      task: 'reverse',
      level,
      content: list,
      messages: [{ role: 'user', content: question.replace('#', list) }],
      answer: [...words].reverse().join(joint),
    };
  },
  check: (item, reply) => checkWords([item.answer], reply),
};
