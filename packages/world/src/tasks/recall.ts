/**
 * @file Key-value recall at a distance (multi-query associative recall with one query, Arora et al. 2023).
 *
 * The level sets the number of pairs; level 3 also puts sentences that hold no pair between the pairs.
 */
import { checkWords } from '../check.ts';
import type { Task } from '../types.ts';
import { NAMES, phrase, WORDS } from '../words.ts';

const PAIRS = [
  [2, 3],
  [4, 5],
  [6, 8],
  [6, 8],
] as const;

export const recall: Task = {
  name: 'recall',
  levels: 4,
  generate(rng, level) {
    const [low, high] = PAIRS[level]!;
    const keys = rng.sample(WORDS, rng.int(low, high));
    const pairs = keys.map((key) => `${key} ${level < 2 ? rng.int(0, 9) : rng.int(10, 99)}`);
    const asked = rng.int(0, keys.length - 1);
    const parts =
      level < 3
        ? [`${pairs.join(', ')}.`]
        : pairs.flatMap((pair) => [`${pair}.`, ...(rng.next() < 0.5 ? [`${rng.pick(NAMES)} waits.`] : [])]);
    const question = phrase(rng, level, ['Find #.', 'What is #?', 'Which number has #?', 'Give the number of #.']);
    const text = `${parts.join(' ')} ${question.replace('#', keys[asked]!)}`;
    return {
      task: 'recall',
      level,
      content: `${parts.join(' ')} ${keys[asked]}`,
      messages: [{ role: 'user', content: text }],
      answer: pairs[asked]!.split(' ')[1]!,
    };
  },
  check: (item, reply) => checkWords([item.answer], reply),
};
