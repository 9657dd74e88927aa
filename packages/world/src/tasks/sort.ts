/** @file Sorting: digits (level 0), words by the alphabet (level 1), two-digit numbers (level 2), downwards (level 3). */
import type { Rng } from '@quasar/base';
import { checkWords } from '../check.ts';
import type { Task } from '../types.ts';
import { phrase, WORDS } from '../words.ts';

const DIGITS = Array.from({ length: 10 }, (_, digit) => String(digit));
const NUMBERS = Array.from({ length: 90 }, (_, index) => String(index + 10));

function draw(rng: Rng, level: number): string[] {
  if (level === 0) return rng.sample(DIGITS, rng.int(3, 4));
  if (level === 1) return rng.sample(WORDS, rng.int(2, 4));
  return rng.sample(NUMBERS, rng.int(4, 6));
}

/** By value for numbers, by code unit for lower-case words. */
function ascending(a: string, b: string): number {
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) ? (a < b ? -1 : 1) : difference;
}

export const sort: Task = {
  name: 'sort',
  levels: 4,
  generate(rng, level) {
    const entries = draw(rng, level);
    const down = level === 3;
    const question = down
      ? phrase(rng, level, ['Sort down: #', 'Largest first: #', 'From high to low: #'])
      : phrase(rng, level, ['Sort: #', 'Put in order: #', 'Sort up: #', 'From low to high: #']);
    const sorted = [...entries].sort(ascending);
    return {
      task: 'sort',
      level,
      content: `${down ? 'down' : 'up'} ${entries.join(' ')}`,
      messages: [{ role: 'user', content: question.replace('#', entries.join(' ')) }],
      answer: (down ? sorted.reverse() : sorted).join(' '),
    };
  },
  check: (item, reply) => checkWords([item.answer], reply),
};
